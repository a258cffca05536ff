"""Nobody is told who has an account: same status, same answer, same work, known or not."""

from uuid import uuid4

import pytest

from tests.auth.test_signup_and_login import count_hashes
from tests.support.statements import statements
from tests.support.world import PASSWORD

NAMES = {"first_name": "Eve", "last_name": "Moneypenny"}
# Every call that anybody may make with an address: path, what goes with the address, its hashes,
# and whether known and unknown take the very same statements of the database too. A signup cannot:
# it makes a user or it does not.
CALLS = {
    "login": ("/v1/auth/login", {"password": "not the password"}, 1, True),
    "signup": ("/v1/auth/signup", {"password": PASSWORD, **NAMES}, 1, False),
    "reset": ("/v1/auth/password:requestReset", {}, 0, True),
    "code": ("/v1/auth/login:requestCode", {}, 0, True),
}
# What each answer has of its own.
# Those of the rate limit count calls, whoever they name.
OWN_HEADERS = {
    *("date", "x-request-id", "x-envoy-upstream-service-time"),
    *("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),
}


@pytest.mark.parametrize("name", CALLS)
async def test_known_and_unknown_get_the_same_answer_for_the_same_work(gateway, monkeypatch, name):
    path, fields, hashes, same_statements = CALLS[name]
    known = (await gateway.world.new_user()).email
    calls = count_hashes(monkeypatch)
    told = {}
    for email in (known, f"{uuid4().hex}@example.com"):
        calls.clear()
        with statements() as sent:
            answer = await gateway.http.post(path, json={"email": email, **fields})
        assert sent
        headers = {key: value for key, value in answer.headers.items() if key not in OWN_HEADERS}
        work = sent if same_statements else []
        told[email] = (answer.status_code, headers, shape(answer.json()), list(calls), work)
    first, second = told.values()
    assert first == second
    assert len(calls) == hashes


def shape(value):
    """A JSON value without ids, addresses and secrets: what differs from call to call."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return (type(value), len(value)) if isinstance(value, str) else value
