"""Reading days: "yesterday", "last week", "on 10 July", "Monday", "in Q3 2025", "2026-07-10".

Each function reads at a place of the tokens, and gives what it has read and the place after it.
"""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Final

from smart_audit.audit.questions.calendar import (
    DAY,
    LEAP_YEARS,
    Clock,
    Days,
    day,
    known,
    latest,
    month,
    months_back,
    quarter,
    real_date,
    week,
    year_of,
)
from smart_audit.audit.questions.tokens import Tokens, kind, skip, word

Found = tuple[Days, int] | None

NUMBERS: Final = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
}  # fmt: skip
_MONTHS: Final = {
    "january": 1, "jan": 1, "february": 2, "feb": 2, "march": 3, "mar": 3, "april": 4, "apr": 4,
    "may": 5, "june": 6, "jun": 6, "july": 7, "jul": 7, "august": 8, "aug": 8, "september": 9,
    "sep": 9, "sept": 9, "october": 10, "oct": 10, "november": 11, "nov": 11, "december": 12,
    "dec": 12,
}  # fmt: skip
_WEEKDAYS: Final = {
    "monday": 0, "mon": 0, "tuesday": 1, "tue": 1, "tues": 1, "wednesday": 2, "wed": 2,
    "thursday": 3, "thu": 3, "thur": 3, "thurs": 3, "friday": 4, "fri": 4, "saturday": 5, "sat": 5,
    "sunday": 6, "sun": 6,
}  # fmt: skip
_LAST: Final = ("last", "previous")
_MAX_DIGITS: Final = 5
_FULL_NAME: Final = 6
"""From this length on, the name of a weekday is no other word."""
_SATURDAY: Final = 5


def read_days(tokens: Tokens, at: int, clock: Clock, *, cued: bool) -> Found:
    """Days at a place. cued: a word such as "in" or "since" says that a time follows.

    Without it, words that mean something else as well are none: "may", "sat".
    """
    for read in _READERS:
        found = read(tokens, at, clock)
        if found is not None:
            return found
    return _bare_name(tokens, at, clock) or _bare_year(tokens, at) if cued else None


def read_number(tokens: Tokens, at: int) -> int | None:
    """A number of at most five digits, or a word for one up to twelve."""
    text = word(tokens, at)
    if kind(tokens, at) == "number" and len(text) <= _MAX_DIGITS:
        return int(text)
    return NUMBERS.get(text)


def read_month(tokens: Tokens, at: int) -> int | None:
    """The number of a month by its name."""
    return _MONTHS.get(word(tokens, at))


def read_of_month(tokens: Tokens, at: int) -> int | None:
    """A day of a month: "10", "10th"."""
    if kind(tokens, at) not in {"number", "ordinal"}:
        return None
    digits = word(tokens, at).rstrip("stndrh")
    return int(digits) if len(digits) <= 2 and 1 <= int(digits) <= 31 else None  # noqa: PLR2004


def read_year(tokens: Tokens, at: int) -> tuple[int | None, int]:
    """A year and the place after it, with a comma before it or not; or None, and this place."""
    place = skip(tokens, at, ",", "of")
    text = word(tokens, place)
    if kind(tokens, place) == "number" and len(text) == 4 and known(int(text)):  # noqa: PLR2004
        return int(text), place + 1
    return None, at


def dated(clock: Clock, number: int, of_month: int, year: int | None) -> Days | None:
    """A day of a month; of the latest year that has it, if no year is given."""
    if year is not None:
        found = real_date(year, number, of_month)
        return day(found) if found else None
    for back in range(LEAP_YEARS + 1):
        found = real_date(clock.today.year - back, number, of_month)
        if found and found <= clock.today:
            return Days(found, found + DAY, "year")
    return None


def _near(tokens: Tokens, at: int, clock: Clock) -> Found:
    today = clock.today
    text = word(tokens, at)
    if text == "today":
        return day(today), at + 1
    if text == "yesterday":
        return day(today - DAY), at + 1
    phrase = [word(tokens, at + ahead) for ahead in range(3)]
    if phrase == ["day", "before", "yesterday"]:
        return day(today - 2 * DAY), at + 3
    return None


def _calendar(tokens: Tokens, at: int, clock: Clock) -> Found:
    """A "last week", "this month", "previous quarter"."""
    if word(tokens, at) not in {*_LAST, "this", "current"}:
        return None
    days = _turn(word(tokens, at + 1), int(word(tokens, at) in _LAST), clock)
    return (days, at + 2) if days else None


def _turn(unit: str, back: int, clock: Clock) -> Days | None:
    """This week, month and so on, or the one before."""
    today = clock.today
    match unit:
        case "week":
            return week(today - timedelta(weeks=back))
        case "weekend":
            return _weekend(clock, back)
        case "month":
            return month(today.year, today.month - back)
        case "quarter":
            return quarter(today.year, (today.month + 2) // 3 - back)
        case "year":
            return year_of(today.year - back)
    return None


def _weekend(clock: Clock, back: int) -> Days:
    """The latest weekend that has begun; the one before, if it goes on and "last" is asked for."""
    monday = week(clock.today).first
    saturday = monday + timedelta(days=_SATURDAY)
    if saturday > clock.today or back:
        saturday -= timedelta(weeks=1)
    return Days(saturday, saturday + 2 * DAY)


def _weekday(tokens: Tokens, at: int, clock: Clock) -> Found:
    """A "Monday", "last Friday": the latest one, today included unless it is the last."""
    led = word(tokens, at) in {*_LAST, "this", "past"}
    name = word(tokens, at + led)
    number = _WEEKDAYS.get(name)
    if number is None or (len(name) < _FULL_NAME and not led):
        return None
    end = clock.today - DAY if word(tokens, at) in _LAST else clock.today
    found = end - timedelta(days=(end.weekday() - number) % 7)
    return Days(found, found + DAY, "" if led else "week"), at + 1 + led


def _iso(tokens: Tokens, at: int, _: Clock) -> Found:
    if kind(tokens, at) != "date":
        return None
    year, number, of_month = map(int, word(tokens, at).replace("/", "-").split("-"))
    found = real_date(year, number, of_month)
    return (day(found), at + 1) if found else None


def _slashed(tokens: Tokens, at: int, _: Clock) -> Found:
    """A "13/07/2026", "07/13/2026", "10.7.2026": which is the month must be certain."""
    if kind(tokens, at) != "slashed":
        return None
    parts = [int(part) for part in word(tokens, at).replace(".", "/").split("/")]
    if len(parts) < 3:  # noqa: PLR2004
        return None
    first, second, year = parts
    dotted = "." in word(tokens, at)
    readings = {real_date(year, second, first)}
    if not dotted:
        readings.add(real_date(year, first, second))
    certain = readings - {None}
    found = certain.pop() if len(certain) == 1 else None
    return (day(found), at + 1) if found else None


def _day_of_month(tokens: Tokens, at: int, clock: Clock) -> Found:
    """A "10 July", "10th of July 2026", "July 10th, 2026"."""
    of_month = read_of_month(tokens, at)
    if of_month is not None:
        place = skip(tokens, at + 1, "of")
        number = read_month(tokens, place)
    else:
        number = read_month(tokens, at)
        place = skip(tokens, at + 1, "the")
        of_month = read_of_month(tokens, place)
    if number is None or of_month is None:
        return None
    year, place = read_year(tokens, place + 1)
    found = dated(clock, number, of_month, year)
    return (found, place) if found else None


def _month_of_year(tokens: Tokens, at: int, clock: Clock) -> Found:
    """A "July 2026", "last July"."""
    last = word(tokens, at) in _LAST
    number = read_month(tokens, at + last)
    if number is None:
        return None
    year, place = read_year(tokens, at + 1)
    if last:
        this_month = month(clock.today.year, clock.today.month).first
        found = month(clock.today.year, number)
        return found if found.first < this_month else found.moved(-1), at + 2
    return (month(year, number), place) if year is not None else None


def _quarter_of_year(tokens: Tokens, at: int, clock: Clock) -> Found:
    """A "Q3", "Q3 2025"."""
    if word(tokens, at) != "q" or word(tokens, at + 1) not in {"1", "2", "3", "4"}:
        return None
    if not tokens[at + 1].joined:
        return None
    number = int(word(tokens, at + 1))
    year, place = read_year(tokens, at + 2)
    if year is not None:
        return quarter(year, number), place
    found = quarter(clock.today.year, number)
    return latest(clock, Days(found.first, found.after, "year")), place


def _ago(tokens: Tokens, at: int, clock: Clock) -> Found:
    """A "3 days ago", "two weeks ago": the day, the week, the month, the year of then."""
    count = read_number(tokens, at)
    if count is None or word(tokens, at + 2) != "ago":
        return None
    try:
        return _then(word(tokens, at + 1).removesuffix("s"), count, clock.today), at + 3
    except (ValueError, OverflowError, KeyError):
        return None


def _then(unit: str, count: int, today: date) -> Days:
    """Raises: KeyError for no such unit, ValueError or OverflowError before the year 1."""
    match unit:
        case "day":
            return day(today - timedelta(days=count))
        case "week":
            return week(today - timedelta(weeks=count))
        case "month":
            then = months_back(today, count)
            return month(then.year, then.month)
        case "year":
            return year_of(today.year - count)
    raise KeyError(unit)


def _bare_name(tokens: Tokens, at: int, clock: Clock) -> Found:
    number = read_month(tokens, at)
    if number is not None:
        found = month(clock.today.year, number)
        return latest(clock, Days(found.first, found.after, "year")), at + 1
    name = word(tokens, at)
    if name == "weekend":
        return _weekend(clock, 0), at + 1
    if name in _WEEKDAYS and at and word(tokens, at - 1) != "the":  # no "in the sun"
        found_at = clock.today - timedelta(days=(clock.today.weekday() - _WEEKDAYS[name]) % 7)
        return Days(found_at, found_at + DAY, "week"), at + 1
    return None


def _bare_year(tokens: Tokens, at: int) -> Found:
    year, place = read_year(tokens, at)
    return (year_of(year), place) if year is not None and place == at + 1 else None


_READERS: Final[tuple[Callable[[Tokens, int, Clock], Found], ...]] = (
    _near,
    _calendar,
    _weekday,
    _iso,
    _slashed,
    _day_of_month,
    _month_of_year,
    _quarter_of_year,
    _ago,
)
