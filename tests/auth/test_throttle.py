"""The throttle: who is slowed down, by whom, and that nobody is shut out for good."""

import asyncio
from ipaddress import ip_network
from uuid import uuid4

import pytest

from smart_audit.auth.cache.postgres import PostgresCache
from smart_audit.auth.errors import TooManyAttempts
from smart_audit.auth.throttle import Throttle, domain_of
from smart_audit.core.database import open_engine
from tests.support.cache import elapse

KEY = b"k" * 32
HOME, AWAY = "198.51.100.7", "203.0.113.9"
HOUR_S, DAY_S = 3600, 24 * 3600


@pytest.fixture(scope="module")
async def database(cluster):
    return cluster.new_database()


@pytest.fixture(scope="module")
def clock(database):
    """The owner's connection: for `elapse`."""
    with database.connect() as connection:
        yield connection


@pytest.fixture(scope="module")
async def throttle(database):
    url = database.service_url("auth")
    async with open_engine(url, pool_size=8, application="test") as engine:
        yield Throttle(PostgresCache(engine), KEY, [ip_network("10.0.0.0/8")])


def somebody():
    return f"{uuid4().hex}@{uuid4().hex}.test"


def stranger(number):
    return f"2001:db8:{number // 65536:x}:{number % 65536:x}::1"


async def wait(throttle, account, address=AWAY, kind="login", **scopes):
    """Try once: None if it may, or the seconds to wait."""
    try:
        await throttle.check(kind, account=account, address=address, **scopes)
    except TooManyAttempts as refusal:
        return refusal.retry_after_s
    return None


async def fail(throttle, account, times, address=AWAY):
    return [await wait(throttle, account, address) for _ in range(times)]


async def hammered(throttle, clock, account, addresses):
    """How many guesses an attacker gets in, from ever new addresses, with all the time it takes."""
    guesses = 0
    for number in range(addresses):
        left = await wait(throttle, account, stranger(number))
        guesses += left is None
        elapse(clock, 15 * 60)
    return guesses


async def test_ten_tries_are_free_and_then_the_waits_grow(throttle, clock):
    account = somebody()
    assert await fail(throttle, account, 10) == [None] * 10
    waits = []
    for _ in range(12):
        waits.append(await wait(throttle, account))
        elapse(clock, waits[-1])
        assert await wait(throttle, account) is None
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


async def test_unknown_and_known_are_slowed_down_alike_and_each_by_itself(throttle):
    assert (await fail(throttle, somebody(), 11)) == [None] * 10 + [1]
    assert (await fail(throttle, somebody(), 10)) == [None] * 10


async def test_a_success_forgets_the_failures(throttle):
    account = somebody()
    await fail(throttle, account, 9)
    await throttle.succeeded("login", account=account, address=AWAY)
    assert await fail(throttle, account, 10) == [None] * 10


async def test_an_attacker_from_many_addresses_has_fifty_guesses(throttle, clock):
    account = somebody()
    assert await hammered(throttle, clock, account, 80) == 50


async def test_whoever_hammers_an_account_does_not_keep_its_owner_out(throttle, clock):
    account = somebody()
    await throttle.succeeded("login", account=account, address=HOME)
    await hammered(throttle, clock, account, 60)
    assert await wait(throttle, account, AWAY) > DAY_S
    assert await wait(throttle, account, HOME) is None
    await throttle.succeeded("login", account=account, address=HOME)
    # The owner's success clears the attackers' count too: they have as many guesses again.
    assert await hammered(throttle, clock, account, 55) == 50
    assert await wait(throttle, account, HOME) is None


async def test_an_owner_without_a_known_address_gets_in_by_a_password_reset(throttle, clock):
    account = somebody()
    await hammered(throttle, clock, account, 60)
    assert await wait(throttle, account, HOME) > DAY_S
    assert await wait(throttle, account, HOME, "reset") is None
    await throttle.succeeded("login", account=account, address=HOME)
    assert await wait(throttle, account, HOME) is None
    await hammered(throttle, clock, account, 60)
    assert await wait(throttle, account, HOME) is None


async def test_no_account_takes_more_than_a_hundred_wrong_passwords_in_a_row(throttle, clock):
    account = somebody()
    await throttle.succeeded("login", account=account, address=HOME)
    guesses = await hammered(throttle, clock, account, 60)
    for _ in range(70):
        guesses += await wait(throttle, account, HOME) is None
        elapse(clock, 15 * 60)
    assert guesses == 100


async def test_an_address_that_tries_many_accounts_is_slowed_down_for_a_while(throttle, clock):
    address = "192.0.2.1"
    waits = [await wait(throttle, somebody(), address) for _ in range(51)]
    assert waits == [None] * 50 + [1]
    assert await wait(throttle, somebody(), "192.0.2.2") is None
    elapse(clock, HOUR_S)
    assert await wait(throttle, somebody(), address) is None


async def test_who_is_known_at_an_address_does_not_pay_for_others_there(throttle):
    address, account = "192.0.2.3", somebody()
    await throttle.succeeded("login", account=account, address=address)
    for _ in range(60):
        await wait(throttle, somebody(), address)
    assert await wait(throttle, somebody(), address) == 1
    assert await wait(throttle, account, address) is None


@pytest.mark.parametrize("address", ["", "no address"])
async def test_nobody_is_known_at_an_address_that_is_none(throttle, clock, address):
    account = somebody()
    await throttle.succeeded("login", account=account, address=address)
    await hammered(throttle, clock, account, 60)
    assert await wait(throttle, account, address) > DAY_S


async def test_successes_do_not_use_up_an_address(throttle):
    for _ in range(60):
        account = somebody()
        assert await wait(throttle, account, "192.0.2.4") is None
        await throttle.succeeded("login", account=account, address="192.0.2.4")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.50", "192.0.2.50", True),
        ("no address", "none either", True),
        ("10.1.2.3", "10.1.2.3", False),
    ],
)
async def test_a_client_is_an_address_or_a_64_and_some_are_exempt(throttle, one, other, same):
    for _ in range(50):
        await wait(throttle, somebody(), one)
    assert (await wait(throttle, somebody(), other) is not None) is same


async def test_an_organisation_is_slowed_down_to_one_try_a_second(throttle, clock):
    account = somebody()
    scopes = {"organisation": domain_of(account), "kind": "login"}
    await throttle.succeeded("login", account=account, address=HOME)
    await throttle.check(account=somebody(), address=AWAY, **scopes)
    clock.execute("UPDATE auth.cache SET count = 999 WHERE key LIKE 'login:organisation:%'")
    assert await wait(throttle, somebody(), AWAY, **scopes) is None
    assert await wait(throttle, "one more", AWAY, **scopes) == 1
    assert await wait(throttle, account, HOME, **scopes) is None
    elapse(clock, 600)
    assert await fail(throttle, somebody(), 2) == [None] * 2


@pytest.mark.parametrize("kind", ["signup", "reset", "mail", "invite"])
async def test_nobody_is_flooded_with_mail(throttle, clock, kind):
    account = somebody()
    waits = [await wait(throttle, account, stranger(n), kind) for n in range(4)]
    assert waits == [None, None, None, 60]
    elapse(clock, 60)
    assert await wait(throttle, account, AWAY, kind) is None
    assert await wait(throttle, account, AWAY, kind) == 120


async def test_a_refusal_is_news_once_in_a_while(throttle, clock):
    async def is_news(account):
        try:
            await throttle.check("login", account=account, address="192.0.2.80")
        except TooManyAttempts as refusal:
            return refusal.is_news
        raise AssertionError("the try was counted")

    account = somebody()
    await fail(throttle, account, 14, "192.0.2.80")
    account = somebody()
    await fail(throttle, account, 10, "192.0.2.80")
    assert [await is_news(account) for _ in range(5)] == [True] + [False] * 4
    elapse(clock, 601)
    await fail(throttle, account, 1, "192.0.2.80")
    assert [await is_news(account) for _ in range(2)] == [True, False]


async def test_two_throttles_on_one_database_count_together(throttle, database):
    url = database.service_url("auth")
    async with open_engine(url, pool_size=8, application="other") as engine:
        other = Throttle(PostgresCache(engine), KEY)
        account = somebody()
        tries = [wait(one, account) for one in (throttle, other) for _ in range(20)]
        assert (await asyncio.gather(*tries)).count(None) == 10


async def test_the_cache_names_nobody(throttle, database):
    account = somebody()
    await fail(throttle, account, 11, "192.0.2.90")
    with database.connect() as connection:
        rows = repr(connection.execute("SELECT key, value FROM auth.cache").fetchall())
    assert account not in rows
    assert "192.0.2.90" not in rows
