"""Days, hours and moments, as a calendar counts them in a time zone. Weeks begin on Monday."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, Literal

FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2200
EPOCH: Final = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
DAY: Final = timedelta(days=1)
MONTHS: Final = 12
LEAP_YEARS: Final = 8
"""The longest time between two 29ths of February."""


@dataclass(frozen=True, slots=True)
class Clock:
    """What time it is for the one who asks."""

    now: datetime
    zone: tzinfo

    @property
    def today(self) -> date:
        """The day that it is there."""
        return self.now.astimezone(self.zone).date()

    def instant(self, day: date, offset: timedelta = timedelta()) -> datetime:
        """A time of day there, in UTC; offset: what the wall clock shows, from midnight."""
        wall = datetime.combine(day, time()) + offset
        return wall.replace(tzinfo=self.zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Days:
    """Whole days, from `first` and before `after`."""

    first: date
    after: date
    every: Literal["", "week", "year"] = ""
    """How often such days come, when the question does not say which it means: "Monday"."""

    def moved(self, times: int) -> "Days":
        """The same days so many weeks or years later."""
        if self.every == "week":
            step = timedelta(weeks=times)
            return Days(self.first + step, self.after + step, self.every)
        return Days(_years_on(self.first, times), _years_on(self.after, times), self.every)


@dataclass(frozen=True, slots=True)
class Hours:
    """A part of a day, from midnight; it may reach into the next day."""

    start: timedelta
    end: timedelta
    point: bool = False
    """Whether it is a point in time to those who say "after 5 pm"."""


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` and before `end`, in UTC; None is open."""

    start: datetime | None
    end: datetime | None
    point: bool = False
    """As of `Hours`."""


def day(first: date) -> Days:
    """One day."""
    return Days(first, first + DAY)


def week(first: date) -> Days:
    """The week that a day is in."""
    monday = first - timedelta(days=first.weekday())
    return Days(monday, monday + timedelta(weeks=1))


def month(year: int, number: int) -> Days:
    """A month; numbers outside 1 to 12 are months of the years around."""
    return Days(_month_begin(year, number), _month_begin(year, number + 1))


def quarter(year: int, number: int) -> Days:
    """A quarter; numbers outside 1 to 4 are quarters of the years around."""
    return Days(_month_begin(year, 3 * number - 2), _month_begin(year, 3 * number + 1))


def year_of(number: int) -> Days:
    """A year."""
    return Days(date(number, 1, 1), date(number + 1, 1, 1))


def latest(clock: Clock, days: Days) -> Days:
    """Of days that come every week or year, the latest that have begun."""
    while days.first > clock.today:
        days = days.moved(-1)
    return days


def months_back(moment: date, count: int) -> date:
    """The same day so many months before, or the last day of a shorter month."""
    begin = _month_begin(moment.year, moment.month - count)
    last = _month_begin(begin.year, begin.month + 1) - DAY
    return begin.replace(day=min(moment.day, last.day))


def known(year: int) -> bool:
    """Whether a number is taken as a year."""
    return FIRST_YEAR <= year <= LAST_YEAR


def real_date(year: int, number: int, of_month: int) -> date | None:
    """A date, if the calendar has it."""
    try:
        return date(year, number, of_month) if known(year) else None
    except ValueError:
        return None


def _month_begin(year: int, number: int) -> date:
    return date(year + (number - 1) // MONTHS, (number - 1) % MONTHS + 1, 1)


def _years_on(moment: date, years: int) -> date:
    try:
        return moment.replace(year=moment.year + years)
    except ValueError:  # 29 February
        return date(moment.year + years, 3, 1)
