"""The time line in pieces: which length suits a range, and where the pieces begin.

Pieces are those of the calendar of a time zone. A day has as many hours as its clocks make it, and
an hour that the clocks show twice is two pieces.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import IntEnum
from zoneinfo import ZoneInfo

AUTO_BUCKETS = 100
MAX_BUCKETS = 1_000
LAST_YEAR = 9999


class Bucket(IntEnum):
    """How long a piece is; the numbers are those of the protocol."""

    AUTO = 1
    MINUTE = 2
    FIVE_MINUTES = 3
    QUARTER_HOUR = 4
    HOUR = 5
    SIX_HOURS = 6
    DAY = 7
    WEEK = 8
    MONTH = 9
    QUARTER = 10
    YEAR = 11


LENGTHS = {
    Bucket.MINUTE: timedelta(minutes=1),
    Bucket.FIVE_MINUTES: timedelta(minutes=5),
    Bucket.QUARTER_HOUR: timedelta(minutes=15),
    Bucket.HOUR: timedelta(hours=1),
    Bucket.SIX_HOURS: timedelta(hours=6),
    Bucket.DAY: timedelta(days=1),
    Bucket.WEEK: timedelta(weeks=1),
    Bucket.MONTH: timedelta(days=30),
    Bucket.QUARTER: timedelta(days=91),
    Bucket.YEAR: timedelta(days=365),
}
"""How long they are, about: months differ, and days when clocks change."""
MONTHS = {Bucket.MONTH: 1, Bucket.QUARTER: 3, Bucket.YEAR: 12}


class TooFine(ValueError):
    """The range would have more pieces than there may be."""

    def __init__(self, bucket: Bucket, pieces: int, finest: Bucket | None) -> None:
        super().__init__(f"{bucket.name} makes {pieces:,} buckets of the range")
        self.pieces = pieces
        self.finest = finest
        """The finest length that would do; None when only a shorter range does."""


@dataclass(frozen=True, slots=True)
class TimeLine:
    """A range of time in pieces.

    bounds: where each piece begins, and where the last one ends; at least 2, in UTC, ascending.
    """

    bucket: Bucket
    bounds: Sequence[datetime]

    def __len__(self) -> int:
        return len(self.bounds) - 1


def time_line(first: datetime, end: datetime, bucket: Bucket, zone: ZoneInfo) -> TimeLine:
    """The whole pieces that hold the times from `first` to `end`, which is not among them.

    Raises: TooFine for more than 1,000 pieces; of AUTO, for more than 1,000 years.
    """
    end = max(end, first + datetime.resolution)
    if bucket is Bucket.AUTO:
        bucket = _finest(first, end, AUTO_BUCKETS) or Bucket.YEAR
    pieces = (end - first) / LENGTHS[bucket]
    if pieces > MAX_BUCKETS:
        raise TooFine(bucket, round(pieces), _finest(first, end, MAX_BUCKETS))
    return TimeLine(bucket, list(_bounds(first, end, bucket, zone)))


def _finest(first: datetime, end: datetime, pieces: int) -> Bucket | None:
    """The finest length that makes so many pieces or fewer, the halves at both ends included."""
    for bucket, length in LENGTHS.items():
        if (end - first) / length <= pieces - 2:
            return bucket
    return None


def _bounds(first: datetime, end: datetime, bucket: Bucket, zone: ZoneInfo) -> Iterator[datetime]:
    starts = _steady(first, bucket, zone) if bucket <= Bucket.HOUR else _dated(first, bucket, zone)
    last = None
    for start in starts:
        # Clocks that leave a day out would begin two pieces at one time.
        if last is None or start > last:
            yield start
            last = start
            if start >= end:
                return


def _steady(first: datetime, bucket: Bucket, zone: ZoneInfo) -> Iterator[datetime]:
    """Pieces of an hour or less: all of one length, begun when the clocks of the zone show it."""
    length = LENGTHS[bucket]
    local = first.astimezone(zone).replace(tzinfo=UTC)
    start = first - (local - datetime(local.year, 1, 1, tzinfo=UTC)) % length
    while True:
        yield start.astimezone(UTC)
        start += length


def _dated(first: datetime, bucket: Bucket, zone: ZoneInfo) -> Iterator[datetime]:
    """Pieces of some hours or more: they begin when clocks and calendar of the zone say so."""
    local = first.astimezone(zone)
    for day in _days(local.date(), bucket):
        hours = range(0, 24, 6) if bucket is Bucket.SIX_HOURS else (0,)
        for hour in hours:
            if day == local.date() and hour + 6 <= local.hour and bucket is Bucket.SIX_HOURS:
                continue
            yield datetime.combine(day, time(hour), zone).astimezone(UTC)


def _days(day: date, bucket: Bucket) -> Iterator[date]:
    """The days on which pieces begin; the first is that of the piece which holds `day`."""
    if bucket in MONTHS:
        months = MONTHS[bucket]
        number = (day.year * 12 + day.month - 1) // months * months
        while number < LAST_YEAR * 12 + 12:
            yield date(number // 12, number % 12 + 1, 1)
            number += months
        return
    length = timedelta(weeks=1) if bucket is Bucket.WEEK else timedelta(days=1)
    day -= timedelta(days=day.weekday()) if bucket is Bucket.WEEK else timedelta()
    while True:
        yield day
        day += length
