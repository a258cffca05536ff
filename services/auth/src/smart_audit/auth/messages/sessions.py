"""SessionService and RevocationService: between protobuf and the domain."""

from collections.abc import Iterable

from ua_parser import parse

from smart_audit.api.auth.v1 import sessions_pb2
from smart_audit.auth.domain import Session, SessionId
from smart_audit.auth.messages.common import from_time
from smart_audit.core.revocations import Revocation


def from_session(session: Session, current: SessionId | None) -> sessions_pb2.Session:
    """A session, as its owner sees it, or an administrator."""
    return sessions_pb2.Session(
        id=str(session.id),
        organisation_id=str(session.organisation_id),
        current=session.id == current,
        address=session.address,
        user_agent=session.user_agent,
        device=device_of(session.user_agent),
        created_at=from_time(session.created_at),
        last_used_at=from_time(session.last_used_at),
        expires_at=from_time(session.expires_at),
        authenticated_at=from_time(session.authenticated_at),
        amr=session.amr,
        impersonator_id=str(session.impersonator_id or ""),
        impersonation_reason=session.impersonation_reason,
    )


def device_of(user_agent: str) -> str:
    """A short name of a device, such as "Firefox on Linux".

    It is the user agent's own first word where nobody knows the program.
    """
    parsed = parse(user_agent)
    first_word = user_agent.partition("/")[0].strip()
    program = parsed.user_agent.family if parsed.user_agent else first_word
    system = parsed.os.family if parsed.os else ""
    return f"{program} on {system}" if program and system else program or "Unknown device"


def from_revocations(revocations: Iterable[Revocation]) -> sessions_pb2.WatchRevocationsResponse:
    """Some revocations, as the feed sends them."""
    return sessions_pb2.WatchRevocationsResponse(
        revocations=[
            sessions_pb2.Revocation(
                key=one.key, revoked_at_ms=one.revoked_at_ms, expires_at=one.expires_at
            )
            for one in revocations
        ]
    )
