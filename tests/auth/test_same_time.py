"""A wrong password and an unknown address take the same time."""

import time
from statistics import median
from uuid import uuid4

import pytest

from smart_audit.api.auth.v1 import auth_pb2
from tests.support.world import PASSWORD, refusal


@pytest.mark.soak
async def test_a_refused_login_takes_the_same_time_for_known_and_unknown(world):
    user = await world.new_user()
    known, unknown = [], []
    for _ in range(100):
        for times, email in ((known, user.email), (unknown, f"{uuid4().hex}@example.com")):
            request = auth_pb2.LoginRequest(email=email, password=PASSWORD + "x")
            started = time.perf_counter()
            await refusal(world.auth.Login(request))
            times.append(time.perf_counter() - started)
    # Alternating and medians: what the machine does besides falls on both alike.
    assert median(known) == pytest.approx(median(unknown), rel=0.1)
