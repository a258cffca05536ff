"""One person for all tests of a file: a password takes most of the time."""

import pytest

from tests.support.events import settled


@pytest.fixture(scope="module")
async def person(world):
    """Somebody who has logged in, and whom audit knows."""
    user = await world.new_user()
    await settled(world, user)
    return user
