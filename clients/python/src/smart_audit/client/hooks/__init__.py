"""Recording what frameworks do: requests, log lines, changes of a database, calls of functions.

Each module needs its framework and is imported by itself: `asgi`, `django`, `flask`, `logs`,
`sqlalchemy`, `audited`. They share who acts (`context`): a change of the database is recorded with
what the middleware knows of the request that it is part of. All take a `Recorder`, and none makes
the program wait or fail.
"""
