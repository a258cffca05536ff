"""Each call that changes something, made with success: what the story of a company needs."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

from google.protobuf.json_format import MessageToDict
from pyotp import TOTP

from smart_audit.api.auth.v1 import auth_pb2, oauth_pb2
from tests.support.administrators import new_administrator
from tests.support.authenticator import Authenticator
from tests.support.exports import id_of, unfinished, until_done
from tests.support.factors import App, challenge_of, logged_in, some_time_later, struct
from tests.support.machines import FORM
from tests.support.mails import mail_to
from tests.support.world import PASSWORD, User
from tests.trail.play import Play

NEW_PASSWORD = "a password that nobody else has chosen"
NEVER = "2100-01-01T00:00:00Z"


def form(**fields: str) -> Any:
    """The body of a request of OAuth."""
    data = "&".join(f"{name}={value}" for name, value in fields.items()).encode()
    return {"content_type": FORM, "data": data}


async def sessions(play: Play, user: User) -> None:
    """Sign up, log in, refresh, log out."""
    email = f"{uuid4().hex}@example.com"
    names = {"first_name": "Ada", "last_name": "Lovelace"}
    new = await play.call("AuthService.Signup", {"email": email, "password": PASSWORD, **names})
    play.logs.add(new.organisation_id)
    login = {"email": user.email, "password": PASSWORD}
    answer = await play.call("AuthService.Login", login, log=user.organisation_id)
    first = logged_in(user, answer)
    token = {"refresh_token": first.refresh_token}
    await play.call("AuthService.RefreshToken", token)
    second = await play.world.login(user.email)
    await play.call("SessionService.RevokeSession", {"session_id": first.session_id}, second)
    await play.call("SessionService.RevokeOtherSessions", {}, second)
    renewed = await play.call("AuthService.Reauthenticate", {"password": PASSWORD}, second)
    await play.call("AuthService.Logout", {}, logged_in(second, renewed))


async def factors(play: Play, user: User) -> None:
    """Enrol, use and remove second factors."""
    service = "FactorService"
    secret = (await play.call(f"{service}.EnrolTotp", {}, user)).secret
    confirmed = await play.call(f"{service}.ConfirmTotp", {"code": TOTP(secret).now()}, user)
    some_time_later(play.world, user)
    app = App(secret, list(confirmed.recovery_codes))
    challenge = (await challenge_of(play.world, user)).challenge
    await play.call("AuthService.CompleteLogin", {"challenge": challenge, "totp_code": app.code()})
    await play.call(f"{service}.RegenerateRecoveryCodes", {}, user)
    authenticator = Authenticator()
    begun = await play.call(f"{service}.BeginPasskeyRegistration", {}, user)
    credential = authenticator.create(MessageToDict(begun.options))
    made = {"credential": credential, "name": "key"}
    passkey = (await play.call(f"{service}.FinishPasskeyRegistration", made, user)).passkey.id
    options = MessageToDict((await play.call("AuthService.BeginPasskeyLogin", {})).options)
    answer = {"credential": MessageToDict(struct(authenticator.get(options)))}
    await play.call("AuthService.FinishPasskeyLogin", answer)
    renamed = {"passkey_id": passkey, "name": "the blue one"}
    await play.call(f"{service}.RenamePasskey", renamed, user)
    await play.call(f"{service}.RemovePasskey", {"passkey_id": passkey}, user)
    await play.call(f"{service}.RemoveTotp", {}, user)


async def account(play: Play) -> None:
    """Verify, reset, change, log in by mail, export, delete."""
    world, service = play.world, "AccountService"
    user = await world.signed_up(verified=False)
    play.logs.add(user.organisation_id)
    await play.call(f"{service}.RequestEmailVerification", {}, user)
    link = await mail_to(world, user.email, "Confirm your e-mail address")
    await play.call(f"{service}.VerifyEmail", {"token": link.token})
    await play.call(f"{service}.RequestPasswordReset", {"email": user.email})
    link = await mail_to(world, user.email, "Choose a new password")
    reset = {"token": link.token, "new_password": NEW_PASSWORD}
    await play.call(f"{service}.ResetPassword", reset)
    user = await world.login(user.email, NEW_PASSWORD)
    changed = {"current_password": NEW_PASSWORD, "new_password": PASSWORD}
    await play.call(f"{service}.ChangePassword", changed, user)
    await play.call(f"{service}.UpdateProfile", {"first_name": "A", "last_name": "King"}, user)
    await play.call(f"{service}.ChangeEmail", {"new_email": f"{uuid4().hex}@example.com"}, user)
    codes = {"login_codes": True}
    await play.call("OrganisationService.UpdateOrganisation", codes, user)
    sent = await play.call(f"{service}.RequestLoginCode", {"email": user.email})
    code = (await mail_to(world, user.email, "code")).code
    login = {"challenge": sent.challenge, "code": code}
    await play.call(f"{service}.LoginWithCode", login)
    await play.call(f"{service}.ExportMyData", {}, user)


async def organisations(play: Play, owner: User) -> User:
    """Create, invite, promote, hand over, leave; gives the owner's session after all that."""
    world, service = play.world, "OrganisationService"
    made = await play.call(f"{service}.CreateOrganisation", {"name": "Analytical Engines"}, owner)
    ours = made.organisation.id
    play.logs.add(ours)
    switch = {"organisation_id": ours, "refresh_token": owner.refresh_token}
    switched = await play.call(f"{service}.SwitchOrganisation", switch, owner)
    owner = replace(
        owner,
        organisation_id=ours,
        access_token=switched.access_token,
        refresh_token=switched.refresh_token,
    )
    await play.call(f"{service}.UpdateOrganisation", {"name": "Engines"}, owner)
    others = [await world.new_user() for _ in range(3)]
    ids = [await _invite(play, owner, other.email) for other in others]
    await play.call(f"{service}.ResendInvitation", {"invitation_id": ids[2]}, owner)
    await play.call(f"{service}.WithdrawInvitation", {"invitation_id": ids[2]}, owner)
    await _accept(play, others[0], ours)
    await _accept(play, others[1], ours)
    await _invite(play, owner, stranger := f"{uuid4().hex}@example.com")
    declined = await mail_to(world, stranger, "invite")
    await play.call(f"{service}.DeclineInvitation", {"token": declined.token})
    first, second = others[0].id, others[1].id
    await play.call(f"{service}.UpdateMember", {"user_id": first, "role": "admin"}, owner)
    await play.call(f"{service}.EndMemberSessions", {"user_id": first}, owner)
    await play.call(f"{service}.RemoveMember", {"user_id": second}, owner)
    await play.call(f"{service}.TransferOwnership", {"user_id": first}, owner)
    refreshed = await play.world.auth.RefreshToken(_refresh(owner))
    owner = logged_in(owner, refreshed)
    await play.call(f"{service}.LeaveOrganisation", {}, owner)
    return owner


async def machines(play: Play, owner: User) -> None:
    """Service accounts, their keys, and tokens for them."""
    service = "ServiceAccountService"
    wanted = {"name": uuid4().hex, "scopes": ["events.read"]}
    made = await play.call(f"{service}.CreateServiceAccount", wanted, owner)
    account = {"service_account_id": made.service_account.id}
    await play.call(f"{service}.UpdateServiceAccount", account | wanted, owner)
    await play.call(f"{service}.DisableServiceAccount", account, owner)
    await play.call(f"{service}.EnableServiceAccount", account, owner)
    named = account | {"name": "ci", "expires_at": NEVER}
    key = await play.call(f"{service}.CreateApiKey", named, owner)
    client = {"client_id": made.service_account.id, "client_secret": key.key}
    grant = form(grant_type="client_credentials", **client)
    await play.call("OAuthService.Token", oauth_pb2.TokenRequest(form=grant))
    mine = await play.world.login(owner.email)
    revoked = form(token=mine.refresh_token, **client)
    await play.call("OAuthService.Revoke", oauth_pb2.RevokeRequest(form=revoked))
    old = account | {"api_key_id": key.api_key.id}
    fresh = await play.call(f"{service}.RotateApiKey", old, owner)
    await play.call(f"{service}.RevokeApiKey", account | {"api_key_id": fresh.api_key.id}, owner)


async def administration(play: Play, user: User) -> User:
    """What an administrator of the installation does to a user; gives the administrator."""
    administrator = await new_administrator(play.world)
    whom = {"user_id": user.id}
    service = "UserAdminService"
    await play.call(f"{service}.ListUserEvents", whom, administrator)
    await play.call(f"{service}.EndUserSessions", whom, administrator)
    reason = whom | {"reason": "the user has asked for help", "minutes": 5}
    answer = await play.call(f"{service}.Impersonate", reason, administrator)
    acting = replace(user, access_token=answer.access_token)
    await play.call(f"{service}.EndImpersonation", {}, acting)
    await play.call(f"{service}.ForcePasswordReset", whom, administrator)
    await play.call(f"{service}.DeactivateUser", whom, administrator)
    await play.call(f"{service}.ReactivateUser", whom, administrator)
    return administrator


async def reads(play: Play, reader: User) -> None:
    """Each way to look at what the log holds; two equal reads would be one."""
    event = {
        "id": str(uuid4()),
        "action": "document.read",
        "actor": {"id": "u_9", "type": "user", "name": "Charles"},
        "outcome": "OUTCOME_SUCCESS",
        "source": "editor",
    }
    service, one = "EventService", {"event_id": event["id"]}
    await play.call(f"{service}.RecordEvent", {"event": event}, reader)
    await play.call(f"{service}.GetEvent", one, reader)
    await play.call(f"{service}.GetEventProof", one, reader)
    await play.call(f"{service}.DiscloseEvent", one, reader)
    await play.call(f"{service}.ListEvents", {"action": "document.read"}, reader)
    await play.call("AnalyticsService.AggregateEvents", {"group_by": ["action"]}, reader)
    await play.call("SearchService.SearchEvents", {"query": "who has read documents"}, reader)
    for number, form in enumerate(("", "AsLines", "AsServerSentEvents")):
        narrow = {"filter": f"metadata.number = {number}"}
        await play.call(f"TailService.TailEvents{form}", narrow, reader)


async def governance(play: Play, owner: User) -> None:
    """What a log keeps."""
    service = "GovernanceService"
    settings = {"settings": {"retention_days": 400, "readers": "LOG_READERS_MEMBERS"}}
    await play.call(f"{service}.UpdateLogSettings", settings, owner)
    placed = {"target_id": "case-7", "reason": "litigation"}
    hold = (await play.call(f"{service}.PlaceHold", placed, owner)).hold.id
    await play.call(f"{service}.ReleaseHold", {"hold_id": hold}, owner)
    event = {
        "id": str(uuid4()),
        "action": "document.delete",
        "actor": {"id": "u_9", "type": "user", "name": "Charles"},
        "outcome": "OUTCOME_SUCCESS",
        "source": "editor",
    }
    await play.call("EventService.RecordEvent", {"event": event}, owner)
    await play.call(f"{service}.EraseSubject", {"subject": {"id": "u_9"}}, owner)
    service = "EventTypeService"
    registered = {"event_types": [{"action": "document.delete", "display_name": "Deletion"}]}
    await play.call(f"{service}.UpsertEventTypes", registered, owner)
    await play.call(f"{service}.DeleteEventType", {"action": "document.delete"}, owner)
    policy = {"policy": {"unknown_actions": "EVENT_TYPE_HANDLING_FLAG"}}
    await play.call(f"{service}.UpdateEventTypePolicy", policy, owner)
    service, search = "SavedSearchService", {"name": "deletions", "filter": "action:delete"}
    saved = await play.call(f"{service}.CreateSavedSearch", {"search": search}, owner)
    named = {"search_id": saved.search.id}
    shared = named | {"search": search | {"shared": True}}
    await play.call(f"{service}.UpdateSavedSearch", shared, owner)
    await play.call(f"{service}.DeleteSavedSearch", named, owner)


async def exports(play: Play, owner: User) -> None:
    """Order files of the log, and end them."""
    world, service = play.world, "ExportService"
    done = await play.call(f"{service}.CreateExport", {}, owner)
    await until_done(world, owner, id_of(done))
    await play.call(f"{service}.ExportEvents", {}, owner)
    await play.call(f"{service}.DownloadExport", {"export_id": id_of(done)}, owner)
    await asyncio.to_thread(unfinished, world, id_of(done))
    await play.call(f"{service}.CancelOperation", {"operation_id": id_of(done)}, owner)
    await play.call(f"{service}.DeleteOperation", {"operation_id": id_of(done)}, owner)


async def _invite(play: Play, owner: User, email: str) -> str:
    invited = {"email": email, "role": "member"}
    answer = await play.call("OrganisationService.CreateInvitation", invited, owner)
    return str(answer.invitation.id)


async def _accept(play: Play, user: User, organisation_id: str) -> None:
    token = (await mail_to(play.world, user.email, "invite")).token
    accept = {"token": token}
    await play.call("OrganisationService.AcceptInvitation", accept, user, log=organisation_id)


def _refresh(user: User) -> Any:
    return auth_pb2.RefreshTokenRequest(refresh_token=user.refresh_token)
