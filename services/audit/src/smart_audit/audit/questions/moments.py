"""Reading one time: days, a part of a day, a moment of ISO 8601, or a while that ends now."""

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from smart_audit.audit.questions.calendar import DAY, EPOCH, Clock, Days, Hours, Period, months_back
from smart_audit.audit.questions.dates import NUMBERS, read_days, read_number
from smart_audit.audit.questions.hours import HOUR, read_hour, read_hours
from smart_audit.audit.questions.tokens import Tokens, kind, skip, word

_UNITS: Final = {
    "second": HOUR / 3600, "seconds": HOUR / 3600, "sec": HOUR / 3600, "secs": HOUR / 3600,
    "minute": HOUR / 60, "minutes": HOUR / 60, "min": HOUR / 60, "mins": HOUR / 60,
    "hour": HOUR, "hours": HOUR, "hr": HOUR, "hrs": HOUR, "h": HOUR,
    "day": DAY, "days": DAY, "d": DAY, "week": 7 * DAY, "weeks": 7 * DAY,
}  # fmt: skip
_MONTHS: Final = {"month": 1, "months": 1, "quarter": 3, "quarters": 3, "year": 12, "years": 12}
_ROLLING: Final = ("last", "past", "previous")
_CALENDAR: Final = ("week", "month", "quarter", "year")


class Moment(NamedTuple):
    """A time as it was read; `days` are kept when it is nothing but days."""

    period: Period
    days: Days | None = None


Found = tuple[Moment, int] | None


def read_moment(tokens: Tokens, at: int, clock: Clock, *, cued: bool) -> Found:
    """One time at a place, and the place after it. cued: as of `read_days`."""
    at = skip(tokens, at, "the")
    return (
        _iso(tokens, at, clock)
        or _while(tokens, at, clock)
        or _ago(tokens, at, clock)
        or _days_and_hours(tokens, at, clock, cued=cued)
        or _hours_and_days(tokens, at, clock)
    )


def from_days(days: Days, clock: Clock) -> Moment:
    """Whole days, from midnight to midnight."""
    return Moment(Period(clock.instant(days.first), clock.instant(days.after)), days)


def _iso(tokens: Tokens, at: int, clock: Clock) -> Found:
    if kind(tokens, at) != "moment":
        return None
    text = word(tokens, at).upper()
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=clock.zone)
        start = moment.astimezone(UTC)
        has_seconds = text[10:].split("+")[0].count(":") > 1
        grain = timedelta(seconds=1) if has_seconds else timedelta(minutes=1)
        return Moment(Period(start, start + grain, point=True)), at + 1
    except (ValueError, OverflowError):
        return None


def _while(tokens: Tokens, at: int, clock: Clock) -> Found:
    """A "last 3 hours", "past week", "last 24h": it ends now. Not "last week", a calendar's."""
    lead = word(tokens, at)
    if lead not in _ROLLING:
        return None
    counted = word(tokens, at + 1) not in NUMBERS and kind(tokens, at + 1) != "number"
    count = 1 if counted else read_number(tokens, at + 1)
    place = at + 1 if counted else at + 2
    unit = word(tokens, place)
    if count is None or (counted and lead != "past" and unit in _CALENDAR):
        return None
    start = _back(clock, count, unit)
    return (Moment(Period(start, clock.now)), place + 1) if start is not None else None


def _ago(tokens: Tokens, at: int, clock: Clock) -> Found:
    """A "20 minutes ago", "2 hours ago": the minute, the hour of then."""
    count = read_number(tokens, at)
    unit = _UNITS.get(word(tokens, at + 1), DAY)
    if count is None or word(tokens, at + 2) != "ago" or unit >= DAY:
        return None
    start = clock.now - count * unit
    return Moment(Period(start, start + unit, point=True)), at + 3


def _back(clock: Clock, count: int, unit: str) -> datetime | None:
    """So long before now, not before 1970; None for no such unit."""
    try:
        if unit in _UNITS:
            return max(EPOCH, clock.now - count * _UNITS[unit])
        if unit in _MONTHS:
            there = clock.now.astimezone(clock.zone)
            wall = timedelta(hours=there.hour, minutes=there.minute, seconds=there.second)
            return max(EPOCH, clock.instant(months_back(there.date(), count * _MONTHS[unit]), wall))
    except (OverflowError, ValueError):
        return EPOCH
    return None


def _days_and_hours(tokens: Tokens, at: int, clock: Clock, *, cued: bool) -> Found:
    """Days, or one day and a part of it: "yesterday at 14:30", "Monday morning"."""
    if word(tokens, at) in {"last", "this"} and kind(tokens, at + 1) == "word":
        night = _part_of_near_day(tokens, at, clock)
        if night is not None:
            return night
    found = read_days(tokens, at, clock, cued=cued)
    if found is None:
        return None
    days, place = found
    place = _possessive(tokens, place)
    if days.after - days.first == DAY:
        hours = read_hours(tokens, skip(tokens, place, ","))
        if hours is not None:
            return Moment(_part(days, hours[0], clock)), hours[1]
    return from_days(days, clock), place


def _part_of_near_day(tokens: Tokens, at: int, clock: Clock) -> Found:
    """A "last night", "this morning"."""
    if word(tokens, at + 1) not in {"morning", "afternoon", "evening", "night"}:
        return None
    hours = read_hour(tokens, at + 1)
    if hours is None:
        return None
    first = clock.today - (DAY if word(tokens, at) == "last" else timedelta())
    return Moment(_part(Days(first, first + DAY), hours[0], clock)), hours[1]


def _hours_and_days(tokens: Tokens, at: int, clock: Clock) -> Found:
    """A part of a day: "14:30 yesterday", "noon on 10 July"; of the latest day that has it."""
    hours = read_hours(tokens, at)
    if hours is None:
        return None
    place = skip(tokens, skip(tokens, hours[1], ","), "on", "of")
    days = read_days(tokens, skip(tokens, place, "the"), clock, cued=place > hours[1])
    if days is not None and days[0].after - days[0].first == DAY:
        return Moment(_part(days[0], hours[0], clock)), _possessive(tokens, days[1])
    if word(tokens, at) in {"morning", "afternoon", "evening", "night"}:
        return None  # Without a day these are words like others: "night shift".
    today = _part(Days(clock.today, clock.today + DAY), hours[0], clock)
    if today.start is not None and today.start > clock.now:
        today = _part(Days(clock.today - DAY, clock.today), hours[0], clock)
    return Moment(today), hours[1]


def _part(days: Days, hours: Hours, clock: Clock) -> Period:
    return Period(
        clock.instant(days.first, hours.start), clock.instant(days.first, hours.end), hours.point
    )


def _possessive(tokens: Tokens, at: int) -> int:
    """After the "'s" of "yesterday's"."""
    if word(tokens, at) in {"'", "’"} and word(tokens, at + 1) == "s":
        return at + 2
    return at
