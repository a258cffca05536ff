"""Erasing a person while others write, read and hold."""

import asyncio
import base64
from typing import Any

import pytest

from smart_audit.api.audit.v1 import audit_pb2
from tests.support.events import event, get, record, record_batch, settled, verify
from tests.support.governance import erase, place_hold
from tests.support.world import Refusal, read_refusal, running_world

WRITERS = 64
SECRET = "Zaphod"


@pytest.fixture
async def user(world):
    user = await world.new_user()
    await settled(world, user)
    return user


@pytest.mark.soak
async def test_an_erasure_divides_what_many_write_at_once(world, user):
    """What comes before it in the log is erased, what comes behind it is readable, none is lost."""
    acknowledged, many = [], asyncio.Event()

    async def write(through):
        for _ in range(5):
            acknowledged.append(await record(through, user, event()))
            if len(acknowledged) == WRITERS:
                many.set()

    async with running_world(world.database) as second:
        writing = asyncio.gather(*(write((world, second)[n % 2]) for n in range(WRITERS)))
        await many.wait()
        before = list(acknowledged)
        erasure = await erase(world, user, "u_1")
        await writing
    place = erasure.log_index
    assert all(receipt.proof.log_index < place for receipt in before)
    indexes = sorted([place, *(receipt.proof.log_index for receipt in acknowledged)])
    assert indexes == list(range(indexes[0], indexes[0] + 5 * WRITERS + 1))
    for receipt in acknowledged:
        verify(receipt.proof)
        shown = await get(world, user, receipt.event_id)
        if receipt.proof.log_index < place:
            assert (shown.event.actor.name, list(shown.disclosures)) == ("", [])
        else:
            assert shown.event.actor.name == "Ada Lovelace"
            assert shown.event.erased_fields == []
    await erase(world, user, "u_1")
    for receipt in acknowledged:
        assert (await get(world, user, receipt.event_id)).disclosures == []


def person(**fields):
    return audit_pb2.Target(id="u_1", type="user", **fields)


EVERYWHERE: dict[str, dict[str, Any]] = {
    "as the actor": {"actor": audit_pb2.Actor(id="u_1", name=SECRET, email=f"{SECRET}@a.test")},
    "as a target": {"targets": [audit_pb2.Target(id="d_1"), person(name=SECRET)]},
    "as both": {
        "actor": audit_pb2.Actor(id="u_1", name=SECRET),
        "targets": [person(name=SECRET), person(name=SECRET)],
    },
    "in metadata of an event about them": {
        "targets": [person()],
        "metadata": {"note": {"deep": [f"asked by {SECRET}"]}},
    },
    "in how they came": {
        "actor": audit_pb2.Actor(id="u_1"),
        "user_agent": f"{SECRET}/1.0",
        "source_address": SECRET,
    },
}


async def test_nothing_that_can_be_read_tells_of_an_erased_person(world, user):
    bob = {"actor": audit_pb2.Actor(id="u_2", name="Bob"), "targets": []}
    sent = [event(**(bob | changes)) for changes in EVERYWHERE.values()]
    assert all(result.HasField("receipt") for result in await record_batch(world, user, sent))
    assert await readable(world, user, sent) == set(EVERYWHERE)
    await erase(world, user, "u_1")
    assert await readable(world, user, sent) == set()
    others = await get(world, user, sent[1].id)
    assert (others.event.actor.name, list(others.event.erased_fields)) == (
        "Bob",
        ["targets.1.name", "metadata"],
    )
    with world.database.connect() as connection:
        rows = connection.execute(
            "SELECT leaf || disclosures FROM audit.payloads WHERE organisation_id = %s",
            [user.organisation_id],
        ).fetchall()
    assert rows
    assert not any(SECRET.encode() in bytes(row) for (row,) in rows)


async def readable(world, user, sent):
    """In which events the secret can be read, by whichever method."""
    listing = audit_pb2.ListEventsRequest(page_size=500, proof=True)
    listed = await world.events.ListEvents(listing, metadata=user.metadata)
    found = set()
    for where, message in zip(EVERYWHERE, sent, strict=True):
        at = [one.id for one in listed.events].index(message.id)
        request = audit_pb2.GetEventProofRequest(event_id=message.id)
        proof = await world.events.GetEventProof(request, metadata=user.metadata)
        _, extra, _ = proof.data.decode().split("\n", 2)
        shown = await get(world, user, message.id)
        texts = [
            str(listed.events[at]),
            str(shown.event),
            *map(decoded, shown.disclosures),
            *map(decoded, listed.proofs[at].disclosures),
            *map(decoded, base64.b64decode(extra.removeprefix("extra ")).decode().split("~")[1:]),
        ]
        if any(SECRET in text for text in texts):
            found.add(where)
    return found


def decoded(disclosure):
    return base64.urlsafe_b64decode(disclosure + "=" * (-len(disclosure) % 4)).decode()


async def test_a_hold_and_an_erasure_at_once_agree_on_who_was_first(world, user):
    for number in range(12):
        subject = f"held_{number}"
        sent = event(actor=audit_pb2.Actor(id=subject, name="Ada"))
        await record(world, user, sent)
        placing = place_hold(world, user, subject=subject)
        erasing = outcome(erase(world, user, subject))
        placed, erased = await asyncio.gather(placing, erasing)
        held_at = (await get(world, user, placed.hold.id)).event.log_index
        shown = (await get(world, user, sent.id)).event
        if isinstance(erased, Refusal):
            assert erased.reason == "SUBJECT_HELD"
            assert shown.actor.name == "Ada"
        else:
            assert erased.log_index < held_at
            assert shown.actor.name == ""


async def outcome(call):
    """What a call answers, or how it is refused."""
    try:
        return await call
    except Exception as error:  # noqa: BLE001
        return read_refusal(error)
