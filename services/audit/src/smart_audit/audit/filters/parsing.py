"""From a filter's tree to an expression: fields are known, values have their types."""

from collections.abc import Callable
from difflib import get_close_matches
from itertools import count

from smart_audit.audit.errors import FilterInvalid
from smart_audit.audit.fields import FIELDS, METADATA, NAMES, Field, Kind, field_of
from smart_audit.audit.filters import syntax
from smart_audit.audit.filters.expressions import (
    PRESENT,
    Comparator,
    Condition,
    Expression,
    Not,
    Pattern,
    Words,
    conjunction,
    disjunction,
)
from smart_audit.audit.filters.syntax import (
    MAX_CONDITIONS,
    Comparison,
    Composite,
    Global,
    Junction,
    Literal,
    Negation,
    Node,
)
from smart_audit.audit.filters.values import number_text, to_value
from smart_audit.audit.terms import asked_words

MAX_WILDCARDS = 8
"""Wildcards in one value."""
EITHER = (Comparator.HAS, Comparator.EQUALS)
ORDERING = (
    Comparator.LESS,
    Comparator.LESS_OR_EQUAL,
    Comparator.GREATER,
    Comparator.GREATER_OR_EQUAL,
)


def parse_filter(text: str) -> Expression | None:
    """What a filter asks for; None for one that is empty.

    Raises: FilterInvalid, which says where.
    """
    tree = syntax.read(text)
    return None if tree is None else _Checker().expression(tree)


class _Checker:
    """Turns the nodes of one filter into expressions, and counts them."""

    def __init__(self) -> None:
        self._number = count(1)

    def expression(self, node: Node) -> Expression:
        """What a node asks for. Raises: FilterInvalid."""
        return self._combined(node, self._leaf)

    def _combined(
        self, node: Node, leaf: Callable[[Global | Comparison], Expression]
    ) -> Expression:
        match node:
            case Composite():
                return self._combined(node.inner, leaf)
            case Negation():
                return Not(self._combined(node.part, leaf))
            case Junction():
                join = disjunction if node.either else conjunction
                return join([self._combined(part, leaf) for part in node.parts])
            case _:
                if next(self._number) > MAX_CONDITIONS:
                    said = f"has more than {MAX_CONDITIONS} conditions"
                    raise FilterInvalid(said, node.start + 1)
                return leaf(node)

    def _leaf(self, node: Global | Comparison) -> Expression:
        if isinstance(node, Global):
            return _words(node.value)
        field = _field(node)
        if field is None:
            return _key_of_metadata(node)
        if isinstance(node.arg, Literal):
            return _condition(field, node.comparator, node.arg, node.place)
        return self._distributed(field, node.comparator, node.arg, node.place)

    def _distributed(
        self, field: Field, comparator: Comparator, arg: Composite, place: int
    ) -> Expression:
        """`field=(a OR b)`: each value in the parentheses is one for the field."""
        if comparator not in EITHER:
            raise FilterInvalid("can compare values in parentheses by = and : alone", place + 1)

        def leaf(node: Global | Comparison) -> Expression:
            if isinstance(node, Comparison):
                said = "may have values alone in parentheses behind a comparator"
                raise FilterInvalid(said, node.place + 1)
            return _condition(field, comparator, node.value, place)

        return self._combined(arg, leaf)


def _words(literal: Literal) -> Words:
    column = literal.start + 1
    if len(literal.pieces) > 1:
        raise FilterInvalid('has a wildcard without a field; write it as action="docu*"', column)
    text = literal.text
    if not literal.quoted and text.upper() in syntax.KEYWORDS:
        said = f'has {text}, which is no operator; write {text.upper()}, or "{text}" for the word'
        raise FilterInvalid(said, column)
    if not asked_words(text):
        raise FilterInvalid(f"has no word to look for in {syntax.shown(text)}", column)
    return Words(text)


def _field(node: Comparison) -> Field | None:
    """The field that is named; None for metadata as a whole. Raises: FilterInvalid."""
    for segment in node.path:
        if len(segment.pieces) > 1 or not segment.text:
            raise FilterInvalid("has a field whose name is empty or a wildcard", segment.start + 1)
    name = ".".join(segment.text for segment in node.path)
    if name == "metadata":
        return None
    if name == "targets" and node.comparator is Comparator.HAS:
        name = "target.id"
    elif name.startswith("targets."):
        if node.comparator is not Comparator.HAS:
            single = name.replace("targets", "target", 1)
            said = f"asks one of several targets; write {name}:… or, for any of them, {single}"
            raise FilterInvalid(said, node.place + 1)
        name = name.replace("targets", "target", 1)
    field = field_of(name)
    if field is None:
        raise _unknown(name, node.start + 1)
    return field


def _key_of_metadata(node: Comparison) -> Condition:
    """`metadata:key` asks whether there is such a key. Raises: FilterInvalid."""
    arg = node.arg
    if node.comparator is not Comparator.HAS or not isinstance(arg, Literal):
        said = "must name a path in metadata, such as metadata.region, or a key: metadata:region"
        raise FilterInvalid(said, node.place + 1)
    if len(arg.pieces) > 1 or not arg.text:
        raise FilterInvalid("must name a key of metadata", arg.start + 1)
    return Condition(METADATA + arg.text, Comparator.HAS, PRESENT)


def _unknown(name: str, column: int) -> FilterInvalid:
    shown = syntax.shown(name)
    beneath = [field for field in FIELDS if field.startswith(f"{name.removesuffix('s')}.")]
    if beneath:
        return FilterInvalid(
            f"must name a field of {shown}: {', '.join(beneath)}", column, field=shown
        )
    near = get_close_matches(name.lower(), FIELDS, 1)
    guess = f"; did you mean {near[0]}?" if near else "."
    return FilterInvalid(
        f"has an unknown field {shown}{guess} Fields are {', '.join(NAMES)}", column, field=shown
    )


def _condition(field: Field, comparator: Comparator, literal: Literal, place: int) -> Expression:
    """Raises: FilterInvalid."""
    if comparator in ORDERING and not field.ordered:
        why = " is stored sealed and" if field.sealed else ""
        said = f"{field.name}{why} can be compared by {', '.join(field.comparators())} alone"
        raise FilterInvalid(f"asks too much: {said}", place + 1, field=field.name)
    if len(literal.pieces) > 1:
        return _wild(field, comparator, literal)
    if not field.words and comparator is Comparator.HAS:
        comparator = Comparator.EQUALS
    if field.kind is not Kind.TEXT:
        return Condition(field.name, comparator, to_value(field, literal))
    text = literal.text
    if field.name.startswith(METADATA) and not literal.quoted:
        text = number_text(text)
    if not text and comparator not in ORDERING:
        return _of_nothing(field, comparator, literal)
    if comparator is Comparator.HAS and not asked_words(text):
        comparator = Comparator.EQUALS
    return Condition(field.name, comparator, text)


def _of_nothing(field: Field, comparator: Comparator, literal: Literal) -> Expression:
    """An empty field is one that is not there."""
    present = Condition(field.name, Comparator.HAS, PRESENT)
    if comparator is Comparator.HAS:
        raise FilterInvalid(
            f"has nothing to look for in {field.name}; {field.name}:* asks whether it is there",
            literal.start + 1,
            field=field.name,
        )
    return Not(present) if comparator is Comparator.EQUALS else present


def _wild(field: Field, comparator: Comparator, literal: Literal) -> Expression:
    """Raises: FilterInvalid."""
    column = literal.start + 1
    first, *middle, last = literal.pieces
    pieces = (first, *filter(None, middle), last)
    if comparator in ORDERING:
        raise FilterInvalid(f"has a wildcard behind {comparator}; use = or !=", column)
    if pieces == ("", ""):
        present = Condition(field.name, Comparator.HAS, PRESENT)
        return Not(present) if comparator is Comparator.NOT_EQUALS else present
    if not field.wildcards:
        why = "is stored sealed and can have none" if field.sealed else "can have none"
        other = f" {field.name}: finds words." if field.words else ""
        raise FilterInvalid(
            f"has a wildcard, and {field.name} {why}, but for {field.name}:*.{other}"
            " A star of the value's own is written \\* in quotes",
            column,
            field=field.name,
        )
    if len(pieces) - 1 > MAX_WILDCARDS:
        raise FilterInvalid(f"has more than {MAX_WILDCARDS} wildcards in a value", column)
    if comparator is Comparator.HAS:
        comparator = Comparator.EQUALS
    return Condition(field.name, comparator, Pattern(pieces))
