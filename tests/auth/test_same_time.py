"""A wrong password and an unknown address take the same time."""

import time
from statistics import fmean
from uuid import uuid4

import pytest

from smart_audit.api.auth.v1 import auth_pb2
from tests.support.world import PASSWORD, refusal

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
async def test_a_refused_login_takes_the_same_time_for_known_and_unknown(world):
    user = await world.new_user()
    names = [f"{uuid4().hex}@{uuid4().hex}.test" for _ in range(2 * TRIES)]
    with world.database.connect() as connection:
        connection.execute(
            COPIES,
            {"names": names[::2], "id": user.id, "organisation": user.organisation_id},
        )
    taken = []
    for email in names:
        request = auth_pb2.LoginRequest(email=email, password=PASSWORD + "x")
        started = time.perf_counter()
        await refusal(world.auth.Login(request))
        taken.append(time.perf_counter() - started)
    # Alternating: what the machine does besides falls on both alike.
    assert fmean(taken[::2]) == pytest.approx(fmean(taken[1::2]), rel=0.05)
