"""The time line: pieces of the calendar that cover a range, whatever clocks do."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_audit.audit.analytics.time_line import (
    AUTO_BUCKETS,
    LENGTHS,
    MAX_BUCKETS,
    Bucket,
    TooFine,
    time_line,
)

ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Pacific/Apia")
BERLIN = ZoneInfo("Europe/Berlin")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
times = st.timedeltas(timedelta(), timedelta(days=47_000)).map(lambda after: EPOCH + after)
lengths = st.timedeltas(timedelta(microseconds=1), timedelta(days=8000))


@given(times, lengths, st.sampled_from(Bucket), st.sampled_from(ZONES))
def test_pieces_follow_each_other_and_cover_the_range(first, length, bucket, zone):
    try:
        line = time_line(first, first + length, bucket, ZoneInfo(zone))
    except TooFine as error:
        finest = error.finest
        assert Bucket.AUTO < bucket < (finest or 0)
        assert len(time_line(first, first + length, finest, ZoneInfo(zone))) <= MAX_BUCKETS
        return
    assert list(line.bounds) == sorted(set(line.bounds))
    assert line.bounds[0] <= first < line.bounds[1]
    assert line.bounds[-2] < first + length <= line.bounds[-1]
    if bucket is Bucket.AUTO:
        assert len(line) <= AUTO_BUCKETS
    if line.bucket >= Bucket.DAY and zone != "Pacific/Apia":
        assert all(bound.astimezone(ZoneInfo(zone)).hour <= 1 for bound in line.bounds)


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("first", "end", "bucket", "hours"),
    [
        ("2026-03-28", "2026-03-31", Bucket.DAY, [24, 23, 24]),
        ("2026-10-24", "2026-10-27", Bucket.DAY, [24, 25, 24]),
        ("2026-03-29", "2026-03-30", Bucket.SIX_HOURS, [5, 6, 6, 6]),
        ("2026-10-25T00:00", "2026-10-25T05:00", Bucket.HOUR, [1] * 6),
        ("2026-03-30", "2026-04-13", Bucket.WEEK, [168, 168]),
        ("2026-01-31", "2026-03-01", Bucket.MONTH, [744, 672]),
        ("2026-02-01", "2026-02-02", Bucket.QUARTER, [90 * 24 - 1]),
        ("2027-05-01", "2027-05-02", Bucket.YEAR, [365 * 24]),
    ],
)
def test_a_day_has_as_many_hours_as_its_clocks_make_it(first, end, bucket, hours):
    line = time_line(at(first).astimezone(UTC), at(end).astimezone(UTC), bucket, BERLIN)
    spans = zip(line.bounds, line.bounds[1:], strict=False)
    assert [(end - start) / timedelta(hours=1) for start, end in spans] == hours


def test_a_range_of_millennia_is_refused_even_when_the_length_is_free():
    with pytest.raises(TooFine) as refused:
        time_line(
            datetime(1, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC), Bucket.AUTO, BERLIN
        )
    assert refused.value.finest is None


def test_longer_lengths_come_later():
    assert list(LENGTHS.values()) == sorted(LENGTHS.values())
