"""A wrong password and an unknown address take the same time."""

import time
from statistics import fmean
from uuid import uuid4

import pytest

from smart_audit.api.auth.v1 import auth_pb2
from tests.support.world import PASSWORD, refusal, running_world

TRIES = 200

COPIES = """
WITH copied AS (
    INSERT INTO auth.users (id, email, email_canonical, first_name, last_name, password_hash,
        created_at)
    SELECT gen_random_uuid(), name, name, first_name, last_name, password_hash, created_at
    FROM auth.users, unnest(%(names)s::text[]) AS name WHERE id = %(id)s
    RETURNING id, created_at
)
INSERT INTO auth.memberships (organisation_id, user_id, role, created_at)
SELECT %(organisation)s, id, 'member', created_at FROM copied
"""


@pytest.mark.soak
async def test_a_refused_login_takes_the_same_time_for_known_and_unknown(cluster):
    async with running_world(cluster.new_database(), quick_hashes=False) as world:
        taken = await times_taken(world)
    assert fmean(taken[True]) == pytest.approx(fmean(taken[False]), rel=0.05)


async def times_taken(world):
    """Seconds of refused logins, by whether the address is known."""
    user = await world.signed_up()
    names = [f"{uuid4().hex}@{uuid4().hex}.test" for _ in range(TRIES)]
    with world.database.connect() as connection:
        connection.execute(
            COPIES,
            {"names": names, "id": user.id, "organisation": user.organisation_id},
        )
    taken = {True: [], False: []}
    for number, name in enumerate(names):
        # Known, unknown, unknown, known: an event goes on to audit while the next login runs, and
        # so does whatever the machine does besides. It falls on both alike.
        for known in (number % 2 == 0, number % 2 == 1):
            request = auth_pb2.LoginRequest(
                email=name if known else f"unknown-{name}", password=PASSWORD + "x"
            )
            started = time.perf_counter()
            await refusal(world.auth.Login(request))
            taken[known].append(time.perf_counter() - started)
    return taken
