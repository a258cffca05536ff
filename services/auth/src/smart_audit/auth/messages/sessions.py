"""SessionService and RevocationService: between protobuf and the domain."""

from collections.abc import Iterable

from smart_audit.api.auth.v1 import sessions_pb2
from smart_audit.auth.devices import device_of
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
