"""Times, between protobuf and Python."""

from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from smart_audit.core.errors import InvalidArgument

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_S = 86_400


def to_datetime(message: Timestamp) -> datetime:
    """To the microsecond. Raises: InvalidArgument outside the years 1 to 9999."""
    try:
        # As `ToDatetime` does, which takes several times as long.
        return EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)
    except OverflowError as error:
        raise InvalidArgument("a time is out of range; use the years 1 to 9999") from error


def timestamp(time: datetime) -> Timestamp:
    """The message of a time that has a zone."""
    # As `FromDatetime` does, which takes several times as long.
    since = time - EPOCH
    return Timestamp(seconds=since.days * DAY_S + since.seconds, nanos=since.microseconds * 1000)
