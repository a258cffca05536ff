"""A database with everything in it, and copies of it."""

import pytest

from tests.integrity.copies import copied
from tests.integrity.making import fill


@pytest.fixture(scope="session")
async def filled(cluster):
    """(database, users): only to be read and copied."""
    database = cluster.new_database()
    return database, await fill(database)


@pytest.fixture
def database(cluster, filled):
    """A copy of one's own."""
    return copied(cluster, filled[0])


@pytest.fixture
def user(filled):
    """Whose log is the larger one."""
    return filled[1][0]
