"""A log as files, through a real Envoy: what a tool of the field sees of it."""

import asyncio
import random
from uuid import uuid4

import grpc.aio
import pytest

from smart_audit.api.audit.v1 import tiles_pb2, tiles_pb2_grpc
from tests.gateway.test_json import error_of
from tests.support.events import event, record_batch, settled
from tests.support.logs import MEMBERS, PUBLIC, fill_log, open_to, path_of, read_log
from tests.support.world import refusal

RANDOM = random.Random(20240611)
IMMUTABLE = "max-age=31536000, immutable"
# Headers that are about one connection, not about the answer (RFC 9110, section 7.6.1).
HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "upgrade", "proxy-connection"}


def public_log(gateway, leaves):
    """A log that anybody may read; gives its organisation."""
    organisation_id = str(uuid4())
    if leaves:
        fill_log(gateway.world.database, organisation_id, leaves)
    open_to(gateway.world.database, organisation_id, PUBLIC)
    return organisation_id


@pytest.fixture(scope="module")
def hundreds(gateway):
    """A public log of 600 entries, for whoever only reads."""
    return public_log(gateway, [b"%d" % number for number in range(600)])


@pytest.fixture(scope="module")
def smallest(gateway):
    """A public log of one entry."""
    return public_log(gateway, [b"x"])


@pytest.fixture(scope="module")
async def owner(gateway):
    """Somebody whose log is open to nobody else."""
    owner = await gateway.world.signed_up()
    await settled(gateway.world, owner)
    return owner


def failure_of(answer):
    """(HTTP status, reason) of a refusal."""
    status, _, reason, _ = error_of(answer)
    return status, reason


def bearer(user):
    return {"authorization": f"Bearer {user.access_token}"}


def reader(gateway, organisation_id, headers=None):
    """Fetches files of a log; each must be there."""

    async def fetch(path):
        answer = await get(gateway, organisation_id, path, headers)
        assert answer.status_code == 200, (path, answer.text)
        return answer.content

    return fetch


async def get(gateway, organisation_id, path, headers=None):
    return await gateway.http.get(f"/v1/logs/{organisation_id}/{path}", headers=headers)


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 511, 512, 700])
async def test_a_stranger_recomputes_the_whole_tree(gateway, size):
    leaves = [b"%d" % number * (number % 7) for number in range(size)]
    organisation_id = public_log(gateway, leaves)
    log = await read_log(reader(gateway, organisation_id))
    assert (log.size, log.entries) == (size, leaves)
    assert log.origin == f"localhost/smart-audit/{organisation_id}"


@pytest.mark.soak
@pytest.mark.parametrize("size", [65_535, 65_536, 65_536 + 256 * 3 + 17])
async def test_a_stranger_recomputes_a_tree_of_three_levels(gateway, size):
    leaves = [b"%d" % number for number in range(size)]
    organisation_id = public_log(gateway, leaves)
    log = await read_log(reader(gateway, organisation_id))
    assert (log.size, log.entries) == (size, leaves)
    if size >= 65_536:
        assert len(await reader(gateway, organisation_id)("tile/2/000.p/1")) == 32


async def test_a_member_reads_what_has_been_recorded(gateway):
    user = await gateway.world.signed_up()
    await settled(gateway.world, user)
    size = 2
    for more in (1, 250, 5, 300):
        await record_batch(gateway.world, user, [event() for _ in range(more)])
        size += more
        log = await read_log(reader(gateway, user.organisation_id, bearer(user)))
        assert log.size == size
    assert all(entry.startswith(b"{") for entry in log.entries)


async def test_each_part_of_a_tile_is_the_beginning_of_the_whole(gateway):
    leaves = [b"leaf %d" % number for number in range(600)]
    organisation_id = public_log(gateway, leaves)
    fetch = reader(gateway, organisation_id)
    for prefix, index, width in (
        ("tile/0/", 0, 256),
        ("tile/0/", 2, 88),
        ("tile/1/", 0, 2),
        ("tile/entries/", 1, 256),
        ("tile/entries/", 2, 88),
    ):
        whole = await fetch(path_of(prefix, index, width))
        assert whole
        parts = {1, width - 1, width // 2, *RANDOM.sample(range(1, width), min(width - 1, 20))}
        for part in sorted(parts):
            found = await fetch(path_of(prefix, index, part))
            assert whole.startswith(found)
            assert 0 < len(found) < len(whole)
        if width < 256:
            for beyond in (width + 1, 255, 256):
                answer = await get(gateway, organisation_id, path_of(prefix, index, beyond))
                assert failure_of(answer) == (404, "TILE_NOT_FOUND")
                assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/003", "tile/0/003.p/1", "tile/1/000.p/3", "tile/1/001.p/1", "tile/2/000.p/1",
        "tile/7/000.p/1", "tile/63/000.p/1", "tile/entries/003.p/1", "tile/entries/x001/000",
        "tile/0/x018/x446/x744/x073/x709/x551/615",
        "tile/entries/x018/x446/x744/x073/x709/x551/615",
    ],
)  # fmt: skip
async def test_what_the_log_does_not_reach_is_not_found(gateway, hundreds, path):
    answer = await get(gateway, hundreds, path)
    assert failure_of(answer) == (404, "TILE_NOT_FOUND")


async def test_answers_have_the_headers_of_the_specification(gateway):
    leaves = [b"leaf %d" % number * 20 for number in range(300)]
    organisation_id = public_log(gateway, leaves)
    user = await gateway.world.signed_up()
    await record_batch(gateway.world, user, [event() for _ in range(300)])
    squeeze = {"accept-encoding": "gzip"}
    for log, headers, who in (
        (organisation_id, squeeze, "public"),
        (user.organisation_id, squeeze | bearer(user), "private"),
    ):
        for path in ("tile/0/000", "tile/0/001.p/8", "tile/1/000.p/1", "tile/entries/000"):
            answer = await get(gateway, log, path, headers)
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "application/octet-stream"
            assert answer.headers["cache-control"] == f"{who}, {IMMUTABLE}"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert not HOP_BY_HOP & set(answer.headers)
            # Bundles should be compressed (tlog-tiles); what is small is sent as it is.
            small = len(answer.content) < 1024
            assert ("content-encoding" not in answer.headers) == small
            assert not small or int(answer.headers["content-length"]) == len(answer.content)
            plain = await get(gateway, log, path, headers | {"accept-encoding": "identity"})
            assert plain.content == answer.content
            assert int(plain.headers["content-length"]) == len(plain.content)
        answer = await get(gateway, log, "checkpoint", headers)
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["cache-control"] == f"{who}, max-age=5"
        answer = await get(gateway, log, "key", squeeze)
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["cache-control"] == "public, max-age=60"


FILES = ["checkpoint", "tile/0/000.p/1", "tile/entries/000.p/1"]


@pytest.mark.parametrize("path", FILES)
async def test_members_only_unless_the_log_is_public(gateway, path):
    owner, other = await gateway.world.signed_up(), await gateway.world.signed_up()
    await settled(gateway.world, owner)
    log = owner.organisation_id
    forged = {"authorization": bearer(owner)["authorization"][:-6] + "AAAAAA"}

    async def seen_by(headers, log=log):
        answer = await get(gateway, log, path, headers)
        if answer.status_code == 200:
            return 200
        assert answer.headers["cache-control"] == "no-store"
        return failure_of(answer)

    # Whether there is such a log makes no difference to who may not read it.
    for one in (log, str(uuid4())):
        assert await seen_by(None, one) == (401, "TOKEN_MISSING")
        assert await seen_by({"authorization": "Basic dTpw"}, one) == (401, "TOKEN_MISSING")
        assert await seen_by({"authorization": "Bearer"}, one) in {
            (401, "TOKEN_MISSING"), (401, "TOKEN_INVALID"),
        }  # fmt: skip
        assert await seen_by({"authorization": "Bearer rubbish"}, one) == (401, "TOKEN_INVALID")
        assert await seen_by(forged, one) == (401, "TOKEN_INVALID")
        assert await seen_by(bearer(other), one) == (403, "LOG_FORBIDDEN")
    assert await seen_by(bearer(owner)) == 200
    open_to(gateway.world.database, log, PUBLIC)
    assert await seen_by(None) == 200
    assert await seen_by(bearer(other)) == 200
    assert await seen_by(bearer(owner)) == 200
    # A token that is sent has to be good, even where none is needed.
    assert await seen_by({"authorization": "Bearer rubbish"}) == (401, "TOKEN_INVALID")
    assert await seen_by(forged) == (401, "TOKEN_INVALID")
    open_to(gateway.world.database, log, MEMBERS)
    assert await seen_by(None) == (401, "TOKEN_MISSING")


async def test_the_key_is_public_and_needs_no_log(gateway):
    organisation_id = str(uuid4())
    answer = await get(gateway, organisation_id, "key")
    (key,) = answer.text.splitlines()
    assert key.startswith(f"localhost/smart-audit/{organisation_id}+")


async def test_who_only_reads_makes_nobody_sign(gateway):
    user = await gateway.world.signed_up()
    first = await settled(gateway.world, user)
    open_to(gateway.world.database, user.organisation_id, PUBLIC)
    await record_batch(gateway.world, user, [event() for _ in range(5)])

    def signed():
        with gateway.world.database.connect() as connection:
            return connection.execute(
                "SELECT count(*) FROM audit.checkpoints WHERE organisation_id = %s",
                [user.organisation_id],
            ).fetchone()[0]

    before = signed()
    answers = await asyncio.gather(
        *(get(gateway, user.organisation_id, "checkpoint") for _ in range(10))
    )
    sizes = {int(answer.text.splitlines()[1]) for answer in answers}
    assert min(sizes) >= first.tree_size
    if max(sizes) == first.tree_size:
        assert signed() == before
    member = await get(gateway, user.organisation_id, "checkpoint", bearer(user))
    assert int(member.text.splitlines()[1]) == 7


@pytest.mark.parametrize(
    ("path", "right"),
    [
        ("tile/0/0", "0/000"),
        ("tile/0/5.p/8", "0/005.p/8"),
        ("tile/00/000", "0/000"),
        ("tile/0/1234067", "0/x001/x234/067"),
        ("tile/0/001/234/067", "0/x001/x234/067"),
        ("tile/0/x000/001", "0/001"),
        ("tile/0/000.p/256", "0/000"),
        ("tile/0/000.p/08", "0/000.p/8"),
        ("tile/entries/7", "entries/007"),
        ("tile/0//000", "0/000"),
        ("tile/0/000.p/0", None),
        ("tile/0/000.p/257", None),
        ("tile/0/000.p", None),
        ("tile/0/000.P/8", None),
        ("tile/64/000", None),
        ("tile/-1/000", None),
        ("tile/0/X001/000", None),
        ("tile/Entries/000", None),
        ("tile/8/0/000", None),
        ("tile/data/000", None),
        ("tile/0/000%20", None),
        ("tile/0/%D9%A0%D9%A0%D9%A0", None),
        ("tile/0", None),
        ("tile/x", None),
    ],
)
async def test_a_wrong_path_is_a_400_that_names_the_right_one(gateway, path, right):
    organisation_id = public_log(gateway, [b"x"])
    answer = await get(gateway, organisation_id, path)
    assert error_of(answer) == (400, 3, "TILE_PATH_INVALID", ["path"])
    assert (f"must be written {right}" if right else "must be <level>") in answer.json()["message"]


@pytest.mark.parametrize(
    ("path", "statuses"),
    [
        ("tile/", {400, 401}),
        ("tile", {401, 404}),
        ("tile//0/000.p/1", {400, 404}),
        ("tile/0/000.p/1/", {404}),
        ("tile/0/000.p/", {404}),
        ("tile/0/000.p//1", {400}),
        ("tile/0%2F000.p%2F1", {400}),
        ("tile/0%2f000.p%2f1", {400}),
        ("tile/0/000%5C.p/1", {400}),
        # As browsers do, the gateway takes a backslash for a slash before it looks at the path.
        ("tile/0\\000.p/1", {200}),
        ("tile/0/000.p/1;x=1", {400, 404}),
        ("tile/0/000.p/1:verb", {400, 404}),
        ("tile/0/000.p/1?unknown=1", {400}),
        ("tile/0/000.p/1?path=0/000", {400}),
        ("tile/0/000.p/1?path=0/000.p/1", {400}),
        ("tile/0/000.p/1?organisation_id=x", {400}),
        ("tile/0/000.p/1?organisationId=x", {400}),
        ("tile/0/000.p/1?x=1&organisation_id=00000000-0000-7000-8000-000000000001", {400}),
        ("checkpoint?organisation_id=00000000-0000-7000-8000-000000000001", {400}),
        ("tile/%FF", {400}),
        ("tile/%00", {400}),
        ("tile/0/000.p/1%0A", {400}),
        ("tile/" + "0" * 65, {400}),
        ("tile/" + "0" * 10_000, {400}),
        ("tile/" + "0" * 70_000, {400, 431}),
        ("TILE/0/000.p/1", {401, 404}),
        ("tile/../../../events", {401}),
        ("tile/0/../../../../events", {401}),
        ("tile/..%2F..%2Fevents", {400}),
        ("tile/0/000.p/../../../../../events", {401}),
        ("checkpoint/", {401, 404}),
        ("checkpoint/x", {401, 404}),
        ("key/", {401, 404}),
        ("", {401, 404}),
    ],
)
async def test_no_spelling_breaks_or_goes_round_anything(gateway, owner, smallest, path, statuses):
    closed = await _raw(gateway, f"/v1/logs/{owner.organisation_id}/{path}")
    # To a log of members no spelling leads without a token.
    assert closed in statuses | {401}
    organisation_id = smallest
    assert await _raw(gateway, f"/v1/logs/{organisation_id}/{path}") in statuses
    assert await _raw(gateway, f"/v1/logs/{organisation_id}/{path}", bearer(owner)) < 500


@pytest.mark.parametrize(
    "path",
    [
        "/v1/logs/no-uuid/checkpoint",
        "/v1/logs/no-uuid/key",
        "/v1/logs/no-uuid/tile/0/000",
        "/v1/logs/00000000-0000-7000-8000-00000000000g/key",
        "/v1/logs//key",
        "//v1/logs/00000000-0000-7000-8000-000000000001/key",
        "/V1/logs/00000000-0000-7000-8000-000000000001/key",
    ],
)
async def test_what_is_no_log_is_refused(gateway, path):
    assert await _raw(gateway, path) in {400, 401, 404}


async def _raw(gateway, path, headers=None):
    """The status of a path that is sent as it is written."""
    host, port = gateway.address.split(":")
    connection_reader, writer = await asyncio.open_connection(host, int(port))
    lines = [f"GET {path} HTTP/1.1", "host: x", "connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    status = await connection_reader.readline()
    writer.close()
    return int(status.split()[1])


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_files_can_only_be_read(gateway, method):
    organisation_id = public_log(gateway, [b"x"])
    for path in FILES:
        answer = await gateway.http.request(method, f"/v1/logs/{organisation_id}/{path}")
        assert error_of(answer)[0] in {401, 404, 405}


async def test_grpc_goes_the_same_way(gateway):
    organisation_id = public_log(gateway, [b"x"])
    owner = await gateway.world.signed_up()
    async with grpc.aio.insecure_channel(gateway.address) as channel:
        tiles = tiles_pb2_grpc.TileServiceStub(channel)
        request = tiles_pb2.GetTileRequest(organisation_id=organisation_id, path="entries/000.p/1")
        assert (await tiles.GetTile(request)).data == b"\x00\x01x"
        request.organisation_id = owner.organisation_id
        assert (await refusal(tiles.GetTile(request))).reason == "TOKEN_MISSING"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await tiles.GetTile(request, metadata=[("authorization", "Bearer rubbish")])
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_bundle_of_the_largest_entries_passes(gateway):
    leaves = [bytes([number]) * 65_535 for number in range(256)]
    organisation_id = public_log(gateway, leaves)
    answer = await get(gateway, organisation_id, "tile/entries/000")
    assert answer.status_code == 200
    assert len(answer.content) == 256 * 65_537
