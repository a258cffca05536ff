"""Every RPC of both services, by reflection, in success and in refusal: each has its event.

An RPC that changes something, or reads events of the log, leaves exactly one event of its action
when it succeeds. One that is refused for who calls leaves exactly one with outcome DENIED, whatever
it would have done.
"""

from uuid import uuid4

import pytest

from smart_audit.api.auth.v1 import oauth_pb2
from tests.support.isolation import Ids, requests
from tests.support.reflection import served
from tests.support.tokens import bearer, forged
from tests.trail import scenes
from tests.trail.play import DENIED, SUCCESS, Play

# Its event forgets the request id with all that is erased; tests/auth/test_my_data.py finds it.
DELETION = "AccountService.DeleteMyAccount"
# These answer all alike, so that nobody learns who is there: a request is no refusal.
REFUSE_NOBODY = {
    "AccountService.RequestPasswordReset",
    "AccountService.RequestLoginCode",
    "AuthService.Signup",
    "OAuthService.Revoke",
    "RevocationService.WatchRevocations",
}


@pytest.fixture(scope="module")
async def play(world):
    return Play(world, {method.name: method for method in await served(world)})


async def test_every_change_and_every_read_leave_exactly_their_event(world, play):
    owner = await world.new_user()
    await scenes.reads(play, await world.new_user())
    await scenes.sessions(play, await world.new_user())
    await scenes.factors(play, await world.new_user())
    await scenes.account(play)
    await scenes.machines(play, owner)
    await scenes.administration(play, await world.new_user())
    await scenes.governance(play, await world.new_user())
    await scenes.exports(play, await world.new_user())
    await scenes.organisations(play, owner)
    called = {made.method.name for made in play.made.values()}
    telling = {name for name, one in play.methods.items() if _tells(one.rule)}
    assert telling - called == {DELETION}, "tests/trail/scenes.py does not call these"
    found = await play.events(await world.new_user())
    wrong = {}
    for request_id, made in play.made.items():
        expected = [(made.method.rule.action, SUCCESS)] if _tells(made.method.rule) else []
        events = [(event.action, event.outcome) for event in found[request_id]]
        if [one for one in events if one[0] == made.method.rule.action] != expected:
            wrong[made.method.name] = events
    assert not wrong


async def test_every_refusal_leaves_exactly_its_event(world):
    play = Play(world, {method.name: method for method in await served(world)})
    user = await world.new_user()
    play.logs.add(user.organisation_id)
    nothing = requests(Ids.of_nothing()) | {"OAuthService.Token": _of_no_client()}
    for name, method in play.methods.items():
        rule = method.rule
        # Open to all, or to all with a token: these refuse nobody for who calls.
        open_to_all = rule.public or not (rule.scope or rule.person or rule.optional)
        if name in REFUSE_NOBODY or (open_to_all and rule.refusals_only):
            continue
        caller = () if rule.public else bearer(_of_nobody_in_particular(world, user, rule))
        await play.refused(name, nothing[name], caller)
    found = await play.events(user)
    wrong = {}
    for request_id, made in play.made.items():
        events = [
            (event.action, event.outcome, event.outcome_reason) for event in found[request_id]
        ]
        if events != [(made.method.rule.action, DENIED, made.reason)]:
            wrong[made.method.name] = (made.reason, events)
    assert not wrong


def _tells(rule):
    """Whether a success leaves an event."""
    return rule.reads or not rule.refusals_only


def _of_no_client():
    client = {"client_id": str(uuid4()), "client_secret": "x"}
    return oauth_pb2.TokenRequest(form=scenes.form(grant_type="client_credentials", **client))


def _of_nobody_in_particular(world, user, rule):
    """A good token that the rule does not let in: without scopes, or of a machine."""
    changes = {"scope": "organisation.nothing"}
    if rule.scope is None and not rule.optional:
        changes["client_id"] = user.id
    return forged(world, user, **changes)
