"""Checking a whole log through the gateway: its tree anew from the entries up, streaming.

`files` reads what the log serves (C2SP tlog-tiles), `tree` recomputes the tree, `entries` holds
each entry against it, `shown` each event of the listing against its entry. `memory` keeps the state
that was verified last: what has been rolled back or forked since then contradicts it.
"""
