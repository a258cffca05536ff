"""Where the cursor stands in a filter that is being written, and what may stand there.

A filter that is not finished has no tree yet, so this reads its tokens alone, those of
`filter.lark`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from smart_audit.audit.domain import Outcome
from smart_audit.audit.fields import FIELDS, Kind, field_of
from smart_audit.audit.filters.syntax import KEYWORDS

_MEMBER = re.compile(r"""[^\s()"',=<>!:\\-][^\s()"',=<>!:\\]*""")
_ARGUMENT = re.compile(r"""[^\s()"',=<>!\\]+""")
_STRING = re.compile(r""""(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?""", re.DOTALL)
_CLOSED = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""", re.DOTALL)
_COMPARATOR = re.compile(r"<=|>=|!=|[=<>:!]")
_SPACE = re.compile(r"\s*")
_PLAIN = re.compile(r"[A-Za-z0-9_./@+-]+")
_TYPES = ("user", "service")


class Suggests(Enum):
    """What may stand at a place; the names are those of the protocol."""

    FIELD = 1
    OPERATOR = 2
    VALUE = 3
    CONNECTIVE = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where the cursor stands. A suggestion takes the place of `start` to `end`."""

    kinds: tuple[Suggests, ...]
    typed: str
    """What is there already before the cursor, without quotes."""
    start: int
    end: int
    field: str = ""
    """The field on the left, where an operator or a value is expected."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that may stand somewhere."""

    text: str
    label: str = ""
    description: str = ""
    kind: Suggests = Suggests.VALUE


def place_at(text: str, cursor: int) -> Place:
    """What is expected where the cursor stands."""
    kinds: tuple[Suggests, ...] = (Suggests.FIELD,)
    field, at = "", 0
    while True:
        at = _end(_SPACE, text, at, cursor)
        if at >= cursor:
            return Place(kinds, "", cursor, cursor, field)
        if kinds[0] is Suggests.VALUE:
            end = _end(_STRING, text, at, cursor) or _end(_ARGUMENT, text, at, cursor) or at + 1
            if end == cursor and not _CLOSED.fullmatch(text, at, end):
                typed = text[at:end].lstrip("\"'") if text[at] in "\"'" else text[at:end]
                return Place(kinds, typed, at, _after(text, at, cursor), field)
            kinds, field = (Suggests.CONNECTIVE, Suggests.FIELD), ""
        elif end := _end(_COMPARATOR, text, at, cursor):
            if end == cursor and field:
                return Place((Suggests.VALUE,), "", cursor, cursor, field)
            kinds = (Suggests.VALUE,)
        elif end := _end(_MEMBER, text, at, cursor):
            word = text[at:end]
            if end == cursor:
                found = (Suggests.FIELD, Suggests.OPERATOR) if field_of(word) else (Suggests.FIELD,)
                stop = _end(_MEMBER, text, at, len(text)) or cursor
                return Place(found, word, at, stop, word)
            joins = word in KEYWORDS
            field = "" if joins else word
            after = (Suggests.OPERATOR, Suggests.CONNECTIVE)
            kinds = (Suggests.FIELD,) if joins else after
        else:
            # Parentheses, a minus, and what belongs nowhere.
            closing = text[at] in ")\"'"
            kinds = (Suggests.CONNECTIVE, Suggests.FIELD) if closing else (Suggests.FIELD,)
            end = _end(_STRING, text, at, cursor) or at + 1
        at = end


def suggestions(
    place: Place, fields: Iterable[Candidate], values: Iterable[Candidate]
) -> list[Candidate]:
    """What may stand there, the best first.

    fields: those below `metadata` that are known. values: of the field on the left.
    """
    found: list[Candidate] = []
    for kind in place.kinds:
        match kind:
            case Suggests.FIELD:
                own = [Candidate(name, kind=kind) for name in FIELDS]
                found += _fitting([*own, *fields], place.typed)
            case Suggests.OPERATOR if known := field_of(place.field):
                operators = [Candidate(one, kind=kind) for one in known.comparators()]
                if place.typed == place.field:
                    # Behind the field's name, which stays.
                    operators = [
                        Candidate(place.field + one.text, one.text, kind=kind) for one in operators
                    ]
                found += operators
            case Suggests.CONNECTIVE:
                found += [Candidate(word, kind=kind) for word in ("AND", "OR")]
            case Suggests.VALUE:
                known_values = [*_values(place.field), *values]
                found += [_quoted(one) for one in _fitting(known_values, place.typed)]
            case _:
                pass
    return found


def _values(field: str) -> Iterator[Candidate]:
    known = field_of(field)
    if known is not None and known.kind is Kind.OUTCOME:
        yield from (Candidate(outcome.name) for outcome in Outcome)
    elif field == "actor.type":
        yield from map(Candidate, _TYPES)


def _fitting(candidates: Iterable[Candidate], typed: str) -> list[Candidate]:
    """Those that what is typed stands in: at the beginning first, by the alphabet."""
    wanted = typed.casefold()
    found = []
    for one in candidates:
        text, label = one.text.casefold(), one.label.casefold()
        if wanted in text or wanted in label:
            begins = text.startswith(wanted) or label.startswith(wanted)
            found.append((not begins, text, one))
    return [one for *_, one in sorted(found, key=lambda entry: entry[:2])]


def _quoted(one: Candidate) -> Candidate:
    """A value as it is written in a filter."""
    if _PLAIN.fullmatch(one.text) and one.text not in KEYWORDS:
        return one
    text = re.sub(r'([\\"*])', r"\\\1", one.text).replace("\n", "\\n").replace("\t", "\\t")
    return Candidate(f'"{text}"', one.label or one.text, one.description, one.kind)


def _end(pattern: re.Pattern[str], text: str, at: int, before: int) -> int:
    """Where a match that begins at a place ends; 0 for none."""
    found = pattern.match(text, at, before)
    return 0 if found is None else found.end()


def _after(text: str, start: int, cursor: int) -> int:
    """Where the value ends in which the cursor stands."""
    if text[start] in "\"'":
        closed = _CLOSED.match(text, start)
        return cursor if closed is None else closed.end()
    return _end(_ARGUMENT, text, start, len(text)) or cursor
