"""One organisation against another, at the wire: every RPC of both services."""

import re

import grpc.aio
import pytest

from tests.support.foreign import MARK, all_is_told, differing, new_foreign, state
from tests.support.isolation import ANSWERS_ALL_ALIKE, ENDS_THE_CALLER, Ids, requests
from tests.support.reflection import served
from tests.support.world import read_refusal

# Ids, the names of addresses and of keys, numbers and times.
MADE_UP = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{8,64}\b|\d+")
# These end what other requests name: an export, an invitation, a session, the session that calls.
LAST = (
    "ExportService.DeleteOperation",
    "OrganisationService.WithdrawInvitation",
    "SessionService.RevokeSession",
    "OrganisationService.EndMemberSessions",
)


@pytest.fixture
async def foreign(world):
    """An organisation that no caller of these tests is a member of."""
    return await new_foreign(world)


async def test_no_rpc_shows_or_changes_what_is_anothers(world, foreign):
    """Each is called with foreign ids, then with ids of nothing: nothing tells the two apart."""
    caller = await world.new_user()
    methods = await served(world)
    untested = {method.name for method in methods} - set(requests(foreign.ids))
    assert not untested, "tests/support/isolation.py has no request to these RPCs"
    before = state(world, foreign)
    faults = {}
    for method in methods:
        if fault := await _fault_of(method, world, caller, foreign):
            faults[method.name] = fault
        elif (after := state(world, foreign)) != before:
            faults[method.name] = f"it has changed {differing(before, after)}"
            before = after
    await all_is_told(world)
    if (after := state(world, foreign)) != before:
        faults["the events of all these calls"] = f"have changed {differing(before, after)}"
    assert not faults, "\n".join(f"{name}: {fault}" for name, fault in faults.items())


async def test_the_same_requests_find_what_is_ones_own(world):
    """Otherwise the test above would prove nothing."""
    own = await new_foreign(world)
    blind = []
    for method in sorted(await served(world), key=_how_late):
        fields = requests(own.ids)[method.name]
        if own.ids.are_in(fields) and method.name not in ANSWERS_ALL_ALIKE:
            nothing = requests(Ids.of_nothing())[method.name]
            of_nothing = await _answer(method, nothing, own.owner.metadata)
            if await _answer(method, fields, own.owner.metadata) == of_nothing:
                blind.append(method.name)
    assert blind == []


def _how_late(method):
    return LAST.index(method.name) if method.name in LAST else -1


async def _fault_of(method, world, caller, foreign):
    """How an RPC shows what is foreign, or tells foreign ids from those of nothing."""
    answers = []
    for ids in (foreign.ids, Ids.of_nothing()):
        user = await world.new_user() if method.name in ENDS_THE_CALLER else caller
        fields = requests(ids)[method.name]
        answers.append(await _answer(method, fields, user.metadata))
        if not ids.are_in(fields):
            break
    if MARK in answers[0]:
        return f"it shows {answers[0]}"
    return "" if len(set(answers)) == 1 else "foreign: {}; nothing: {}".format(*answers)


async def _answer(method, fields, metadata):
    """What a method answers, or how it refuses: without what differs from call to call."""
    try:
        answer = await method.call(fields, metadata)
    except grpc.aio.AioRpcError as error:
        answer = read_refusal(error)
    return MADE_UP.sub("made-up", str(answer).lower())
