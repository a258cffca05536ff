"""Which passwords may be chosen, which may not and why, and that a password counts whole."""

import asyncio
import time
import unicodedata
from contextlib import asynccontextmanager
from hashlib import sha1
from uuid import uuid4

import grpc
import pytest
from aiohttp import web
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from smart_audit.auth import common_passwords, password_policy
from smart_audit.auth.errors import PasswordRefused
from smart_audit.auth.password_policy import PasswordContext
from smart_audit.auth.password_ranges import open_ranges
from smart_audit.core.errors import Unavailable
from tests.auth.test_signup_and_login import signup
from tests.support.world import refusal, running_world

COMMON = common_passwords.load(None)
ADA = PasswordContext(
    email="ada.byron@analytical-engines.example",
    first_name="Ada",
    last_name="Lovelace",
    organisations=("Analytical Engines Ltd", "Bank of Ireland"),
)
ALONE = PasswordContext(email="ada@x.example", password_only=True)


def complaint(password, context=ADA, common=COMMON):
    """The reason for which a password is refused; None if it is not."""
    try:
        password_policy.check(password, context, common, field="new_password")
    except PasswordRefused as refused:
        return refused.field_reason
    return None


def test_the_most_common_passwords_that_are_long_enough_are_refused():
    tried = [one for one in FREQUENCY_LISTS["passwords"] if len(one) >= 8]
    assert len(tried) > 11_000
    assert [one for one in tried if complaint(one) is None] == []


@pytest.mark.parametrize(
    "password",
    ["1q2w3e4r5t6y7u8i", "qwertyuiopasdfghjkl", "123456789123456789", "abcdefghijklmnopqrstuvwxyz",
     "passwordpassword", "zyxwvutsrqponmlkjihg", "11111111111111111111", "!!!!!!!!!!!!!!!!"],
)  # fmt: skip
def test_where_a_password_stands_alone_common_long_ones_are_refused(password):
    assert complaint(password, ALONE) == "PASSWORD_TOO_COMMON"


@pytest.mark.parametrize(
    "password",
    ["password", "PassWord", "p4ssw0rd", "P@$$w0rd", "password!", "Password2026!", "ｐａｓｓword",
     "iloveyou1", "12345678", "qwertyuiop", "aaaaaaaa", "abcabcabcabc", "sunshine99"],
)  # fmt: skip
def test_what_is_tried_first_is_refused(password):
    assert complaint(password) == "PASSWORD_TOO_COMMON"


@pytest.mark.parametrize(
    "password",
    ["smartaudit", "Smart-Audit-2026", "5m4rt4ud1t!", "1815-lovelace", "AdaLovelace",
     "analytical-engines", "AnalyticalEngines1", "byron-lovelace", "ada.byron", "BankofIreland7",
     "ireland-2026"],
)  # fmt: skip
def test_what_is_known_of_the_user_is_refused(password):
    assert complaint(password) == "PASSWORD_GUESSABLE"


@pytest.mark.parametrize(
    "password",
    ["correct horse battery staple", "zwölf Boxkämpfer", "kq7$wpze", "密码密马码马密吗",
     "        x       ", "lovelace x7Qpvk", "tyhgvbmk", "ALLUPPERONLYLETTERS"],
)  # fmt: skip
def test_what_is_hard_to_guess_is_taken_whatever_it_is_made_of(password):
    assert complaint(password) is None


@pytest.mark.parametrize(
    ("password", "context", "reason"),
    [
        ("kq7$wpz", ADA, "PASSWORD_TOO_SHORT"),
        ("kq7$wpze", ADA, None),
        ("kq7$wpzexmv3bt", ALONE, "PASSWORD_TOO_SHORT"),
        ("kq7$wpzexmv3btn", ALONE, None),
        # Code points after NFKC: a letter with a mark is one, an emoji is one.
        (unicodedata.normalize("NFD", "äöüßÄÖÜ"), ADA, "PASSWORD_TOO_SHORT"),
        ("🔑🦉🎷🧊🪁🫐🧵🪵", ADA, None),
    ],
)
def test_characters_are_counted(password, context, reason):
    assert complaint(password, context) == reason


def test_the_filter_takes_few_others_for_common():
    wrong = sum(COMMON.hold(f"{number:x}-{number * 7919:x}") for number in range(200_000))
    assert wrong <= 15  # one in 65,536 is 3


def test_an_operator_adds_passwords(tmp_path):
    own = tmp_path / "own.txt"
    own.write_text("our old motto\n\nZwölf Boxkämpfer\n")
    common = common_passwords.load(own)
    assert complaint("Our Old Motto", common=common) == "PASSWORD_TOO_COMMON"
    assert complaint("our old motto 9!", common=common) == "PASSWORD_TOO_COMMON"
    assert complaint("zwölf boxkämpfer", common=common) == "PASSWORD_TOO_COMMON"
    assert complaint("our new motto", common=common) is None


def test_a_list_that_cannot_be_read_stops_the_service_with_its_setting(tmp_path):
    for content in (None, b"\xff\xfe\x00"):
        path = tmp_path / "list"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(RuntimeError, match="AUTH_PASSWORD_DENY_LIST cannot be read"):
            common_passwords.load(path)


@pytest.mark.parametrize(
    ("changes", "reason", "sentence"),
    [
        ({"password": "iloveyou"}, "PASSWORD_TOO_COMMON", "that are tried first"),
        ({"password": "ada lovelace"}, "PASSWORD_GUESSABLE", "made of your name"),
    ],
)
async def test_a_signup_names_field_and_reason_and_not_the_password(
    world, changes, reason, sentence
):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await world.auth.Signup(signup(**changes))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    bad = error_details_pb2.BadRequest()
    status = rpc_status.from_call(caught.value)
    assert any(detail.Unpack(bad) for detail in status.details)
    (violation,) = bad.field_violations
    assert (violation.field, violation.reason) == ("password", reason)
    assert sentence in violation.description
    assert changes["password"] not in str(status)


async def test_a_page_is_told_the_reason_too(gateway):
    body = {"email": f"{uuid4().hex}@example.com", "first_name": "A", "last_name": "B"}
    answer = await gateway.http.post("/auth/signup", json={**body, "password": "iloveyou"})
    assert answer.status_code == 400
    violations = [one for one in answer.json()["details"] if "field_violations" in one]
    assert violations[0]["field_violations"][0]["reason"] == "PASSWORD_TOO_COMMON"


@pytest.mark.parametrize("typed", ["NFC", "NFD", "NFKC"])
async def test_a_password_fits_however_its_characters_are_composed(world, typed):
    request = signup(password="Ångström ﬁnds ½ Å")
    await world.auth.Signup(request)
    assert await world.login(request.email, unicodedata.normalize(typed, request.password))


async def test_a_hash_of_a_password_that_was_not_normalised_goes_on_to_work(world):
    import bcrypt  # noqa: PLC0415

    user = await world.new_user()
    typed = unicodedata.normalize("NFD", "Ångström ﬁnds ½ Å")
    old = bcrypt.hashpw(typed.encode(), bcrypt.gensalt(4)).decode()
    with world.database.connect() as connection:
        connection.execute("UPDATE auth.users SET password_hash = %s WHERE id = %s", [old, user.id])
    await world.login(user.email, typed)
    await world.login(user.email, unicodedata.normalize("NFC", typed))


# --- a server of breached passwords ---

BREACHED = "a breached passphrase of ours"


class RangeServer:
    """A server of the range protocol, that may be slow or broken."""

    def __init__(self):
        self.asked = []
        self.status = 200
        self.delay_s = 0.0

    async def answer(self, request):
        self.asked.append((request.path, request.headers.get("Add-Padding")))
        await asyncio.sleep(self.delay_s)
        digest = sha1(BREACHED.encode()).hexdigest().upper()
        lines = ["0" * 35 + ":3", digest[5:] + ":1072"] if request.path.endswith(digest[:5]) else []
        # Padding of a count of 0, among it the rest of every digest: it must not count.
        lines += [f"{self.padding}:0"] if self.padding else []
        return web.Response(status=self.status, text="\r\n".join(lines))

    padding = ""


@asynccontextmanager
async def range_server():
    server = RangeServer()
    app = web.Application()
    app.router.add_get("/range/{prefix}", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/range/"
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def ranges_of(server, when_away):
    async with open_ranges(server.url, when_away) as ranges:
        assert ranges is not None
        yield ranges


async def test_only_five_digits_of_a_hash_are_told_and_a_breached_password_is_found():
    async with range_server() as server, ranges_of(server, "refuse") as ranges:
        digest = sha1(BREACHED.encode()).hexdigest().upper()
        assert await ranges.hold(BREACHED)
        assert server.asked == [(f"/range/{digest[:5]}", "true")]
        assert not await ranges.hold("another passphrase")
        server.padding = sha1(b"a third passphrase").hexdigest()[5:].upper()
        assert not await ranges.hold("a third passphrase")


@pytest.mark.parametrize("fault", [{"status": 503}, {"delay_s": 5.0}, {"padding": "no:count"}])
async def test_a_server_that_does_not_answer_well_allows_or_refuses_as_it_is_set(fault):
    async with range_server() as server:
        vars(server).update(fault)
        started = time.monotonic()
        async with ranges_of(server, "allow") as ranges:
            assert not await ranges.hold(BREACHED)
        async with ranges_of(server, "refuse") as ranges:
            with pytest.raises(Unavailable):
                await ranges.hold(BREACHED)
        assert time.monotonic() - started < 4


async def test_a_signup_asks_the_server_that_is_set(cluster):
    async with range_server() as server:
        settings = {"password_range_url": server.url, "password_range_when_away": "refuse"}
        async with running_world(cluster.new_database(), auth=settings) as world:
            refused = await refusal(world.auth.Signup(signup(password=BREACHED)))
            assert refused.fields == {"password": "is known from a breach"}
            assert await world.signed_up()
            server.status = 500
            refused = await refusal(world.auth.Signup(signup()))
            assert refused.code is grpc.StatusCode.UNAVAILABLE
