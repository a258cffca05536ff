"""The way into an organisation: by an invitation, its token, and the invited address."""

import asyncio
from uuid import uuid4

import grpc
import pytest

from smart_audit.api.auth.v1 import organisations_pb2 as pb2
from tests.auth.test_email_and_password import is_verified
from tests.support.company import invited, joined, switched
from tests.support.mails import mail_to, mails_in, queue_is_empty
from tests.support.world import refusal


def address():
    return f"{uuid4().hex}@example.com"


def invite(world, by, email, role="member"):
    return world.organisations.CreateInvitation(
        pb2.CreateInvitationRequest(email=email, role=role), metadata=by.metadata
    )


def show(world, token):
    return world.organisations.GetInvitation(pb2.GetInvitationRequest(token=token))


def accept(world, user, token):
    return world.organisations.AcceptInvitation(
        pb2.AcceptInvitationRequest(token=token), metadata=user.metadata
    )


def decline(world, token):
    return world.organisations.DeclineInvitation(pb2.DeclineInvitationRequest(token=token))


async def open_ones(world, user, **page):
    return await world.organisations.ListInvitations(
        pb2.ListInvitationsRequest(**page), metadata=user.metadata
    )


def expire(world, email):
    with world.database.connect() as connection:
        connection.execute(
            "UPDATE auth.invitations SET expires_at = now() WHERE email = %s", [email]
        )


@pytest.fixture
async def owner(world):
    return await world.signed_up()


@pytest.fixture
async def guest(world):
    return await world.new_user()


async def test_who_accepts_an_invitation_is_a_member_with_its_role(world, owner, guest):
    token = await invited(world, owner, guest.email.upper(), "auditor")
    shown = await show(world, token)
    assert (shown.organisation_name, shown.role) == ("Ada Lovelace", "auditor")
    answer = await accept(world, guest, token)
    assert (answer.organisation_id, answer.role) == (owner.organisation_id, "auditor")
    moved = await switched(world, guest, owner.organisation_id)
    assert moved.organisation_id == owner.organisation_id
    assert not (await open_ones(world, owner)).invitations


async def test_who_has_not_verified_an_address_invites_nobody(world):
    owner = await world.signed_up(verified=False)
    email = address()
    assert (await refusal(invite(world, owner, email))).reason == "EMAIL_UNVERIFIED"
    await queue_is_empty(world)
    assert mails_in(world.mail_dir, email) == []
    assert not (await open_ones(world, owner)).invitations


async def test_an_accepted_invitation_verifies_the_address(world, owner):
    guest = await world.signed_up(verified=False)
    await accept(world, guest, await invited(world, owner, guest.email))
    assert is_verified(world, guest)


async def test_invitations_to_one_address_are_bounded(world, owner):
    email = address()
    invitation = (await invite(world, owner, email)).invitation
    again = pb2.ResendInvitationRequest(invitation_id=invitation.id)
    for _ in range(3):
        await world.organisations.ResendInvitation(again, metadata=owner.metadata)
    refused = await refusal(world.organisations.ResendInvitation(again, metadata=owner.metadata))
    assert refused.reason == "TOO_MANY_ATTEMPTS"


async def test_an_invitation_lives_for_seven_days_and_holds_no_token(world, owner):
    invitation = (await invite(world, owner, address())).invitation
    assert invitation.expires_at.seconds - invitation.created_at.seconds == 7 * 24 * 3600
    assert invitation.invited_by == owner.id
    (listed,) = (await open_ones(world, owner)).invitations
    assert listed == invitation


@pytest.mark.parametrize("answer", ["accept", "decline"])
async def test_a_token_works_once(world, owner, guest, answer):
    token = await invited(world, owner, guest.email)
    await (accept(world, guest, token) if answer == "accept" else decline(world, token))
    for call in (show(world, token), accept(world, guest, token), decline(world, token)):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (
            grpc.StatusCode.NOT_FOUND,
            "INVITATION_NOT_FOUND",
        )


async def test_an_invitation_that_is_accepted_twice_at_once_is_accepted_once(world, owner, guest):
    token = await invited(world, owner, guest.email)
    calls = [accept(world, guest, token) for _ in range(4)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(not isinstance(answer, Exception) for answer in answers) == 1


async def test_only_the_invited_address_can_accept(world, owner, guest):
    token = await invited(world, owner, address())
    refused = await refusal(accept(world, guest, token))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "INVITATION_FOR_ANOTHER",
    )
    assert (await show(world, token)).role == "member"


async def test_a_withdrawn_invitation_is_gone(world, owner, guest):
    token = await invited(world, owner, guest.email)
    (invitation,) = (await open_ones(world, owner)).invitations
    request = pb2.WithdrawInvitationRequest(invitation_id=invitation.id)
    await world.organisations.WithdrawInvitation(request, metadata=owner.metadata)
    assert (await refusal(accept(world, guest, token))).reason == "INVITATION_NOT_FOUND"
    again = world.organisations.WithdrawInvitation(request, metadata=owner.metadata)
    assert (await refusal(again)).reason == "INVITATION_NOT_FOUND"


async def test_an_invitation_that_is_sent_anew_has_another_token_and_a_new_expiry(
    world, owner, guest
):
    token = await invited(world, owner, guest.email)
    (first,) = (await open_ones(world, owner)).invitations
    expire(world, guest.email)
    assert (await refusal(show(world, token))).reason == "INVITATION_EXPIRED"
    answer = await world.organisations.ResendInvitation(
        pb2.ResendInvitationRequest(invitation_id=first.id), metadata=owner.metadata
    )
    assert answer.invitation.expires_at.seconds >= first.expires_at.seconds
    assert (await refusal(show(world, token))).reason == "INVITATION_NOT_FOUND"
    await queue_is_empty(world)
    again = await mail_to(world, guest.email, "invited")
    assert await accept(world, guest, again.token)


@pytest.mark.parametrize("answer", ["accept", "decline"])
async def test_an_expired_invitation_cannot_be_answered(world, owner, guest, answer):
    token = await invited(world, owner, guest.email)
    expire(world, guest.email)
    call = accept(world, guest, token) if answer == "accept" else decline(world, token)
    refused = await refusal(call)
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "INVITATION_EXPIRED",
    )


async def test_an_address_is_invited_once_until_the_invitation_has_expired(world, owner):
    email = address()
    await invite(world, owner, email)
    refused = await refusal(invite(world, owner, email.upper()))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "INVITATION_EXISTS",
    )
    expire(world, email)
    assert await invite(world, owner, email)
    assert len((await open_ones(world, owner)).invitations) == 1


async def test_a_member_is_not_invited_again(world, owner, guest):
    await joined(world, owner, "member", guest)
    refused = await refusal(invite(world, owner, guest.email))
    assert refused.reason == "MEMBER_EXISTS"


async def test_the_answer_is_the_same_whether_the_address_has_an_account_or_not(
    world, owner, guest
):
    known = (await invite(world, owner, guest.email)).invitation
    unknown = (await invite(world, owner, address())).invitation
    for invitation in (known, unknown):
        for field in ("id", "email", "created_at", "expires_at"):
            assert invitation.HasField(field) if "_at" in field else getattr(invitation, field)
            invitation.ClearField(field)
    assert known == unknown
    shown = [await show(world, await invited(world, owner, one)) for one in (address(), address())]
    assert {one.role for one in shown} == {"member"}


async def test_open_invitations_come_in_pages(world, owner):
    created = [(await invite(world, owner, address())).invitation.id for _ in range(3)]
    first = await open_ones(world, owner, page_size=2)
    second = await open_ones(world, owner, page_size=2, page_token=first.next_page_token)
    assert [one.id for one in [*first.invitations, *second.invitations]] == created
    assert not second.next_page_token


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"email": "no address"}, "email"), ({"role": "king"}, "role"), ({"role": ""}, "role")],
)
async def test_a_bad_invitation_is_named(world, owner, changes, field):
    request = pb2.CreateInvitationRequest(**({"email": address(), "role": "member"} | changes))
    call = world.organisations.CreateInvitation(request, metadata=owner.metadata)
    assert field in (await refusal(call)).fields


async def test_an_invited_address_without_an_account_signs_up_and_accepts(world, owner):
    email = address()
    token = await invited(world, owner, email, "admin")
    newcomer = await world.signed_up(email=email)
    assert (await accept(world, newcomer, token)).role == "admin"
