"""Reading a period of time: one time, one that bounds, or two with everything between them."""

from datetime import datetime
from typing import Final

from smart_audit.audit.questions.calendar import Clock, Days, Period
from smart_audit.audit.questions.dates import dated, read_month, read_of_month, read_year
from smart_audit.audit.questions.hours import read_hour
from smart_audit.audit.questions.moments import Moment, from_days, read_moment
from smart_audit.audit.questions.tokens import Tokens, skip, word

Found = tuple[Period, int] | None

_CUES: Final = ("on", "in", "at", "during", "over", "within", "of", "for", "from", "around")
_TO: Final = ("to", "until", "till", "through", "-", "–", "—")
_BOUNDS: Final = ("since", "after", "before", "until", "till", "through")


def read_period(tokens: Tokens, at: int, clock: Clock) -> Found:
    """A period at a place of the tokens, its cue included, and the place after it."""
    return _two(tokens, at, clock) or _bound(tokens, at, clock) or _one(tokens, at, clock)


def _one(tokens: Tokens, at: int, clock: Clock) -> Found:
    place = skip(tokens, at, *_CUES)
    found = read_moment(tokens, place, clock, cued=place > at and word(tokens, at) != "for")
    if found is None:
        return None
    moment, place = found
    if word(tokens, at) == "from":
        after = skip(tokens, place, "on", "onward", "onwards")
        if after > place:
            return Period(moment.period.start, None), after
    return moment.period, place


def _bound(tokens: Tokens, at: int, clock: Clock) -> Found:
    """A "since Monday", "after 5 March", "before July", "until yesterday"."""
    lead = word(tokens, at)
    if lead == "up" and word(tokens, at + 1) == "to":
        at += 1
        lead = "until"
    found = read_moment(tokens, at + 1, clock, cued=True) if lead in _BOUNDS else None
    if found is None:
        return None
    (period, days), place = found
    if days is None and lead in {"before", "after"} and read_hour(tokens, at + 1):
        return None  # "before noon" is a part of the day, which `read_moment` reads.
    return _bounded(lead, period), place


def _bounded(lead: str, period: Period) -> Period:
    """Before or after a time, which may count itself."""
    end = period.start if period.point else period.end
    match lead:
        case "since":
            return Period(period.start, None)
        case "after":
            return Period(end, None)
        case "before":
            return Period(None, period.start)
        case _:
            return Period(None, end)


def _two(tokens: Tokens, at: int, clock: Clock) -> Found:
    """A "from Monday to Friday", "between 1 and 5 March 2026", "1-5 March", "March to May"."""
    lead = word(tokens, at)
    joints = ("and",) if lead == "between" else _TO
    place = skip(tokens, at, "between", "from", "in", "on", "during")
    cued = place > at
    short = _days_of_one_month(tokens, place, clock, joints)
    if short is not None:
        return short
    first = read_moment(tokens, place, clock, cued=cued)
    if first is None or word(tokens, first[1]) not in joints:
        return None
    second = read_moment(tokens, first[1] + 1, clock, cued=True)
    if second is None:
        return None
    return _between(first[0], second[0], clock, second[1])


def _between(first: Moment, second: Moment, clock: Clock, place: int) -> Found:
    """Both ends included, as far as they are days."""
    if first.days is not None and second.days is not None:
        days = _ordered(first.days, second.days)
        return (from_days(days, clock).period, place) if days else None
    end = second.period.start if second.period.point else second.period.end
    start = first.period.start
    return (Period(start, end), place) if _before(start, end) else None


def _before(start: datetime | None, end: datetime | None) -> bool:
    return start is not None and end is not None and start < end


def _ordered(first: Days, second: Days) -> Days | None:
    """From the first to the last of two that leave their year or week open, or not."""
    if first.every and not second.every:
        while first.first > second.first:
            first = first.moved(-1)
        while first.moved(1).first <= second.first:
            first = first.moved(1)
    elif second.every and second.first < first.first:
        second = second.moved(1)
    return Days(first.first, second.after) if first.first < second.after else None


def _days_of_one_month(tokens: Tokens, at: int, clock: Clock, joints: tuple[str, ...]) -> Found:
    """A "1 to 5 March 2026", "March 1-5, 2026"."""
    month = read_month(tokens, at)
    first = read_of_month(tokens, at + (month is not None))
    place = at + 1 + (month is not None)
    second = read_of_month(tokens, place + 1)
    if first is None or second is None or word(tokens, place) not in joints:
        return None
    place += 2
    if month is None:
        place = skip(tokens, place, "of")
        month = read_month(tokens, place)
        place += 1
    if month is None or first > second:
        return None
    year, place = read_year(tokens, place)
    begin = dated(clock, month, first, year)
    if begin is None:
        return None
    end = dated(clock, month, second, begin.first.year)
    return (from_days(Days(begin.first, end.after), clock).period, place) if end else None
