"""Times, between protobuf and Python."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from smart_audit.core.errors import InvalidArgument


def to_datetime(message: Timestamp) -> datetime:
    """To the microsecond. Raises: InvalidArgument outside the years 1 to 9999."""
    try:
        return message.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidArgument("a time is out of range; use the years 1 to 9999") from error


def timestamp(time: datetime) -> Timestamp:
    """The message of a time that has a zone."""
    message = Timestamp()
    message.FromDatetime(time)
    return message
