"""`smart-audit verify log` before a service that lies: it is told from one that does not."""

import random
from contextlib import asynccontextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smart_audit.tlog.checkpoint import Checkpoint
from smart_audit.tlog.entrybundle import pack, unpack
from smart_audit.tlog.note import Signer, sign, verifier_key
from tests.cli.liar import liar_before
from tests.cli.logs import checked, make_leaf, public_log, record_many
from tests.support.events import event, record_batch
from tests.tlog.test_fuzz import damaged


@pytest.fixture
async def user(world):
    """Whose log begins with a signup and a login."""
    return await world.signed_up()


@pytest.fixture
async def liar(gateway, cli):
    """A liar before the gateway, whom the command line asks."""
    async with liar_before(gateway.address) as liar:
        cli.environment["SMART_AUDIT_ADDRESS"] = liar.address
        yield liar


async def faults(liar, organisation_id, **given):
    """What does not hold in a log as the liar shows it."""
    _, found = await checked(liar.address, organisation_id, **given)
    assert found
    return found


async def own_faults(liar, user):
    """So for the user's own log."""
    return await faults(liar, user.organisation_id, token=user.access_token)


@pytest.fixture
async def logged(world, user):
    """A log of 42 events."""
    return await record_many(world, user, 40)


async def refused(cli, *arguments):
    """The lines that stderr has when a verification fails."""
    result = await cli.run("verify", "log", *arguments)
    assert (result.code, result.out) == (6, ""), result
    return result.err.splitlines()


def in_page(change):
    """A lie about the event at entry 17."""

    def lie(_request, page):
        for place, one in enumerate(page.events):
            if one.log_index == 17:
                change(page, place)
                return

    return lie


def swap(page, place):
    """Another event's leaf and disclosures, and the event that they state."""
    other = place - 1
    page.events[place].CopyFrom(page.events[other])
    page.events[place].log_index = 17
    page.proofs[place].CopyFrom(page.proofs[other])


def drop(page, place):
    del page.events[place], page.proofs[place]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda page, at: setattr(page.events[at], "action", "x"), "action differ"),
        (lambda page, at: setattr(page.events[at].actor, "name", "Eve"), "actor differ"),
        (lambda page, at: page.events[at].erased_fields.append("actor.name"), "called erased"),
        (lambda page, at: page.proofs[at].ClearField("leaf"), "not JSON"),
        (lambda page, at: page.proofs[at].disclosures.append("x"), "disclosure"),
        (swap, "the listing shows another event than the entry holds"),
        (drop, "no event is listed for it"),
        (
            lambda page, at: setattr(page.events[at], "log_index", 16),
            "entry 16: it is listed twice",
        ),
    ],
)
async def test_an_event_that_is_not_shown_as_it_is_recorded(liar, user, logged, change, why):
    liar.lies["ListEvents"] = in_page(change)
    lines = await own_faults(liar, user)
    assert any(line.startswith("entry 17: ") for line in lines)
    assert why in "\n".join(lines)


async def test_a_listing_without_leaves_proves_nothing(liar, user, logged):
    liar.lies["ListEvents"] = lambda _, page: page.ClearField("proofs")
    assert await own_faults(liar, user) == ["the listing: not each event comes with its leaf"]


def in_bundle(change):
    """A lie about the first bundle, or about what answers for it."""

    def lie(request, answer):
        if request.path.startswith("entries/000"):
            answer.data = change(answer.data)

    return lie


def other_leaf(data):
    entries = unpack(data)
    entries[5] = make_leaf("0" * 8 + "-0000" * 3 + "-" + "0" * 12, 5)
    return pack(entries)


def cut_between(data):
    return pack(unpack(data)[:-1])


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (other_leaf, ["entry 5: its hash is not the one in tile/0/000"]),
        (cut_between, ["tile/entries/000: the bundle has 255 entries, not 256"]),
        (lambda data: data[:-1], ["tile/entries/000: the bundle ends within entry 255"]),
        (lambda _: b"", ["tile/entries/000: an empty bundle is never served"]),
        (lambda data: data + data, ["tile/entries/000: a bundle has at most 256 entries"]),
    ],
)
async def test_a_bundle_that_is_none(liar, world, change, lines):
    organisation_id = public_log(world, 600)[0]
    liar.lies["GetTile"] = in_bundle(change)
    assert await faults(liar, organisation_id) == lines


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("0/000", "entry 1: its hash is not the one in tile/0/000"),
        ("0/002.p/88", "entry 513: its hash is not the one in tile/0/002.p/88"),
        ("1/000.p/2", "tile/1/000.p/2: hash 1 is not the root of tile/0/001"),
    ],
)
async def test_a_tile_with_another_hash(liar, world, path, place):
    organisation_id = public_log(world, 600)[0]

    def lie(request, answer):
        if request.path == path:
            answer.data = answer.data[:32] + bytes(32) + answer.data[64:]

    liar.lies["GetTile"] = lie
    assert place in await faults(liar, organisation_id)


async def test_a_tile_of_another_length(liar, world):
    organisation_id = public_log(world, 600)[0]

    def lie(request, answer):
        if request.path == "0/001":
            answer.data = answer.data[:-1]

    liar.lies["GetTile"] = lie
    assert await faults(liar, organisation_id) == ["tile/0/001: it has 8191 bytes instead of 8192"]


@asynccontextmanager
async def signed_anew(liar, key):
    """The log as somebody serves it who has another key, and says so."""

    def checkpoint(_, answer):
        text = answer.data.decode().partition("\n\n")[0] + "\n"
        answer.data = sign(text, Signer(text.splitlines()[0], key)).serialise().encode()

    def keys(request, answer):
        origin = f"localhost/smart-audit/{request.organisation_id}"
        answer.data = f"{verifier_key(origin, key.public_key())}\n".encode()

    liar.lies |= {"GetLogCheckpoint": checkpoint, "GetLogKey": keys}
    yield
    del liar.lies["GetLogCheckpoint"], liar.lies["GetLogKey"]


async def test_another_key_than_the_remembered_one_is_refused_until_it_is_given(
    cli, liar, world, user, logged
):
    assert (await cli.run("verify", "log")).code == 0
    key = Ed25519PrivateKey.generate()
    new = verifier_key(f"localhost/smart-audit/{user.organisation_id}", key.public_key())
    async with signed_anew(liar, key):
        (line,) = await refused(cli)
        assert "checkpoint: the log's key has changed: " in line
        assert new in line
        given = await cli.run("verify", "log", "--key", new)
        assert (given.code, given.err) == (0, "")
        assert "instead  of the remembered localhost/" in given.out
        again = await cli.run("verify", "log")
        assert (again.code, "instead" in again.out, "trust" in again.out) == (0, False, False)


async def test_a_given_key_is_the_one_that_counts(liar, user, logged):
    stranger = verifier_key(
        f"localhost/smart-audit/{user.organisation_id}", Ed25519PrivateKey.generate().public_key()
    )
    (line,) = await faults(liar, user.organisation_id, token=user.access_token, keys=[stranger])
    assert "the checkpoint is not to be trusted" in line


def in_note(before, after):
    def lie(_, answer):
        assert before in answer.data
        answer.data = answer.data.replace(before, after, 1)

    return lie


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"\n42\n", b"\n41\n"), (b"\n\n", b"\n"), (b"localhost/", b"localhosd/"), (b"\n", b"\xff\n")],
)
async def test_a_checkpoint_that_was_changed_is_refused(liar, user, logged, before, after):
    liar.lies["GetLogCheckpoint"] = in_note(before, after)
    (line,) = await own_faults(liar, user)
    assert "checkpoint" in line


async def test_the_checkpoint_of_another_log_is_refused(liar, world, user, logged):
    other = public_log(world, 10)[0]

    served = {}

    def keep(request, answer):
        served.setdefault(request.DESCRIPTOR.name, answer.data)

    liar.lies |= {"GetLogCheckpoint": keep, "GetLogKey": keep}
    assert (await checked(liar.address, other))[1] == []
    for name in ("GetLogCheckpoint", "GetLogKey"):
        liar.lies[name] = lambda request, answer: setattr(
            answer, "data", served[request.DESCRIPTOR.name]
        )
    (line,) = await own_faults(liar, user)
    assert f"checkpoint: it is of localhost/smart-audit/{other}" in line


async def test_a_log_that_calls_itself_otherwise_is_not_a_new_one(cli, liar, world, user, logged):
    """Else a service could be rid of what is remembered of it."""
    assert (await cli.run("verify", "log")).code == 0
    key = Ed25519PrivateKey.generate()
    origin = f"elsewhere/{user.organisation_id}"

    def checkpoint(_, answer):
        text = answer.data.decode().replace("localhost/smart-audit/", "elsewhere/", 1)
        note = sign(text.partition("\n\n")[0] + "\n", Signer(origin, key))
        answer.data = note.serialise().encode()

    def keys(_, answer):
        answer.data = f"{verifier_key(origin, key.public_key())}\n".encode()

    liar.lies |= {"GetLogCheckpoint": checkpoint, "GetLogKey": keys}
    (line,) = await refused(cli)
    assert "the log's key has changed" in line
    (line,) = await refused(cli, "--key", verifier_key(origin, key.public_key()))
    assert f"the log calls itself {origin} and was localhost/smart-audit/" in line


async def test_a_root_that_the_entries_do_not_make(liar, world):
    """The service itself signs another tree than it serves."""
    organisation_id = public_log(world, 300)[0]
    key = Ed25519PrivateKey.generate()
    origin = f"localhost/smart-audit/{organisation_id}"

    def checkpoint(_, answer):
        note = sign(Checkpoint(origin, 300, bytes(32)).text(), Signer(origin, key))
        answer.data = note.serialise().encode()

    liar.lies["GetLogCheckpoint"] = checkpoint
    assert await faults(liar, organisation_id, keys=[verifier_key(origin, key.public_key())]) == [
        "checkpoint: the entries make another root than the one signed"
    ]


async def test_events_that_come_later_are_not_looked_at(liar, world, user, logged):
    """Between checkpoint and listing somebody records: the check stands still at its checkpoint."""
    recorded = []

    def keep(_, answer):
        recorded.append(answer.data)

    liar.lies["GetLogCheckpoint"] = keep
    own = {"organisation_id": user.organisation_id, "token": user.access_token}
    assert (await checked(liar.address, **own))[1] == []
    liar.lies["GetLogCheckpoint"] = lambda _, answer: setattr(answer, "data", recorded[0])
    await record_batch(world, user, [event() for _ in range(5)])
    signed, found = await checked(liar.address, **own)
    assert (signed.size, found) == (42, [])


async def damage_files(liar, world, cases, seed):
    """One damaged file of a log, each time another: it is always found."""
    chance = random.Random(seed)
    organisation_id = public_log(world, 600)[0]
    paths = ["entries/000", "entries/002.p/88", "0/001", "0/002.p/88", "1/000.p/2", "checkpoint"]
    for _ in range(cases):
        target = chance.choice(paths)

        def lie(request, answer, target=target):
            if getattr(request, "path", "checkpoint") == target:
                whole = answer.data
                while answer.data == whole:
                    answer.data = damaged(whole, chance)

        liar.lies = {"GetTile": lie, "GetLogCheckpoint": lie}
        await faults(liar, organisation_id)


async def test_damage_to_any_file_is_found(liar, world):
    await damage_files(liar, world, 15, 20261125)


@pytest.mark.soak
async def test_much_damage_to_any_file_is_found(liar, world):
    await damage_files(liar, world, 5_000, 7)


async def test_what_a_service_says_cannot_move_the_cursor(cli, liar, user, logged):
    liar.lies["ListEvents"] = in_page(
        lambda page, at: setattr(page.events[at], "id", "\x1b[2J\u202e")
    )
    lines = await refused(cli)
    assert lines[0].startswith(
        "entry 17: event \\u001b[2J\\u202e: the event is not what its leaf says"
    )


@pytest.mark.soak
async def test_a_log_that_claims_to_be_endless_is_given_up(cli, liar, world):
    organisation_id = public_log(world, 300)[0]
    key = Ed25519PrivateKey.generate()
    origin = f"localhost/smart-audit/{organisation_id}"

    def checkpoint(_, answer):
        note = sign(Checkpoint(origin, (1 << 63) - 1, bytes(32)).text(), Signer(origin, key))
        answer.data = note.serialise().encode()

    liar.lies["GetLogCheckpoint"] = checkpoint
    lines = await refused(
        cli, "--log", organisation_id, "--key", verifier_key(origin, key.public_key())
    )
    assert lines[0].startswith("tile/0/001: ")
    assert "TILE_NOT_FOUND" in lines[0]
    assert "more than 1000 faults" in lines[-1]
