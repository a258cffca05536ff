"""What the messages of several services share."""

from datetime import datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from smart_audit.api.auth.v1 import auth_pb2
from smart_audit.auth.domain import Membership, User

BEARER = "bearer"


def from_summary(user: User) -> auth_pb2.UserSummary:
    """The short form of a user."""
    return auth_pb2.UserSummary(id=str(user.id), email=user.email)


def from_user(user: User) -> auth_pb2.User:
    """A user."""
    return auth_pb2.User(
        id=str(user.id),
        email=user.email,
        first_name=user.first_name,
        last_name=user.last_name,
        created_at=from_time(user.created_at),
    )


def from_organisation(membership: Membership) -> auth_pb2.Organisation:
    """An organisation, and what the caller is in it."""
    return auth_pb2.Organisation(
        id=str(membership.organisation.id),
        name=membership.organisation.name,
        role=membership.role,
    )


def from_time(time: datetime) -> Timestamp:
    """A time on the wire."""
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp


def from_duration(duration: timedelta) -> int:
    """A duration in whole seconds."""
    return int(duration.total_seconds())
