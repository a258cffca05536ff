"""Reading parts of a day: "14:30", "at 2 pm", "before noon", "between 9am and 5pm", "morning"."""

from datetime import timedelta
from typing import Final

from smart_audit.audit.questions.calendar import DAY, Hours
from smart_audit.audit.questions.tokens import Tokens, kind, skip, word

Found = tuple[Hours, int] | None

HOUR: Final = timedelta(hours=1)
_HALF: Final = 12
_PARTS: Final = {
    "morning": Hours(6 * HOUR, 12 * HOUR),
    "afternoon": Hours(12 * HOUR, 18 * HOUR),
    "evening": Hours(18 * HOUR, 24 * HOUR),
    "night": Hours(18 * HOUR, 30 * HOUR),
}
_POINTS: Final = {"noon": 12 * HOUR, "midday": 12 * HOUR, "midnight": timedelta()}
_AND: Final = ("and", "to", "until", "till", "-", "–")


def read_hours(tokens: Tokens, at: int) -> Found:
    """A part of a day, or one bounded by times of day."""
    text = word(tokens, at)
    if text == "before":
        point = _point(tokens, at + 1)
        return (Hours(timedelta(), point[0].start), point[1]) if point else None
    if text in {"after", "since"}:
        point = _point(tokens, at + 1)
        return (Hours(point[0].start, DAY), point[1]) if point else None
    if text in {"between", "from"}:
        return _between(tokens, at + 1)
    return _between(tokens, at) or read_hour(tokens, at)


def read_hour(tokens: Tokens, at: int) -> Found:
    """A time of day, or a part of the day with a name."""
    at = skip(tokens, at, "in", "at", "around")
    at = skip(tokens, at, "the")
    part = _PARTS.get(word(tokens, at))
    return (part, at + 1) if part else _point(tokens, at)


def _between(tokens: Tokens, at: int) -> Found:
    first = _point(tokens, at)
    if first is None or word(tokens, first[1]) not in _AND:
        return None
    second = _point(tokens, first[1] + 1)
    if second is None:
        return None
    start, end = first[0].start, second[0].start
    return Hours(start, end if end > start else end + DAY), second[1]


def _point(tokens: Tokens, at: int) -> Found:
    text = word(tokens, at)
    if text in _POINTS:
        named = _POINTS[text]
        return Hours(named, named + HOUR, point=True), at + 1
    if kind(tokens, at) == "clock":
        parts = [int(part) for part in text.split(":")]
        grain = HOUR / 60 ** (len(parts) - 1)
    elif kind(tokens, at) == "number" and len(text) <= 2:  # noqa: PLR2004
        parts, grain = [int(text)], HOUR
    else:
        return None
    half, place = _half_of_day(tokens, at + 1)
    if half is None and kind(tokens, at) == "number":
        return None
    start = _from_midnight(parts, half)
    return (Hours(start, start + grain, point=True), place) if start is not None else None


def _half_of_day(tokens: Tokens, at: int) -> tuple[str | None, int]:
    """A following "am", "pm", "a.m.", "p.m."."""
    text = word(tokens, at)
    if text in {"am", "pm"}:
        return text, at + 1
    if text in {"a", "p"} and [word(tokens, at + ahead) for ahead in (1, 2)] == [".", "m"]:
        return f"{text}m", skip(tokens, at + 3, ".")
    return None, at


def _from_midnight(parts: list[int], half: str | None) -> timedelta | None:
    hour, minute, second = (*parts, 0, 0)[:3]
    if half is not None:
        if not 1 <= hour <= _HALF:
            return None
        hour = hour % _HALF + (_HALF if half == "pm" else 0)
    if hour > 23 or minute > 59 or second > 59:  # noqa: PLR2004
        return None
    return timedelta(hours=hour, minutes=minute, seconds=second)
