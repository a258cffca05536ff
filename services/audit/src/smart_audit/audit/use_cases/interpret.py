"""Interpret a question: the log decides what its parts mean."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice

from smart_audit.audit.errors import FilterInvalid
from smart_audit.audit.filters import Expression, conjunction, disjunction, parse_filter
from smart_audit.audit.questions.readings import Interpretation, Option, Reading
from smart_audit.audit.questions.understanding import Question, is_ignored, settled
from smart_audit.audit.repository.event_search import EventSearch

MAX_LOOKED_FOR = 24
"""Options of one question that are looked for in the log; what is named further on is words."""
MAX_READINGS = 24
"""Parts of one question that are filters; further ones are words."""


async def interpret(
    question: Question, ignored: Collection[str], search: EventSearch
) -> list[Interpretation]:
    """The parts of a question that are filters.

    Of a part's options the first that finds any event is taken; where none does, the first of a
    part that is certain, and else the part is words.

    ignored: parts that the caller wants taken as words.
    """
    wanted = [one for one in question.readings if not _is_ignored(one, question.text, ignored)]
    del wanted[MAX_READINGS:]
    uncertain = list(islice(_uncertain(wanted), MAX_LOOKED_FOR))
    filters = {one.filter: _parsed(one.filter) for reading in wanted for one in reading.options}
    names = {one.unless_word_of_kinds for one in uncertain if one.unless_word_of_kinds}
    ordinary = await search.words_of_kinds(names)
    looked_for: dict[str, Expression] = {}
    for option in uncertain:
        expression = filters[option.filter]
        if expression is not None and option.unless_word_of_kinds not in ordinary:
            looked_for[option.filter] = expression
    found = await search.find_any(list(looked_for.values()))
    matches = dict(zip(looked_for, found, strict=True))
    chosen = ((one, _chosen(one, matches, filters)) for one in wanted)
    return [settled(one, option, question.text) for one, option in chosen if option is not None]


def expression_of(interpreted: Sequence[Interpretation]) -> Expression | None:
    """All filters as one: of several times with two ends any, and of everything else each."""
    filters = {one: _parsed(one.filter) for one in interpreted if one.filter}
    parsed = {one: expression for one, expression in filters.items() if expression is not None}
    times = [expression for one, expression in parsed.items() if one.has_two_ends]
    others = [expression for one, expression in parsed.items() if not one.has_two_ends]
    parts = [disjunction(times), *others] if times else others
    return conjunction(parts) if parts else None


def _is_ignored(reading: Reading, text: str, ignored: Collection[str]) -> bool:
    return any(is_ignored(text[one.start : one.end], ignored) for one in reading.options)


def _uncertain(readings: Collection[Reading]) -> Iterator[Option]:
    for reading in readings:
        if not reading.certain or len(reading.options) > 1:
            yield from reading.options


def _chosen(
    reading: Reading, matches: Mapping[str, bool], filters: Mapping[str, Expression | None]
) -> Option | None:
    for option in reading.options:
        if matches.get(option.filter):
            return option
    first = reading.options[0]
    # What is ambiguous has no filter, and is shown all the same.
    usable = not first.filter or filters[first.filter] is not None
    return first if reading.certain and usable else None


def _parsed(text: str) -> Expression | None:
    """What a filter asks for; None for one that nothing can match, such as words without words."""
    try:
        return parse_filter(text)
    except FilterInvalid:
        return None
