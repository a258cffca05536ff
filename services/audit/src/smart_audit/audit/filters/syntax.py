"""From text to a tree, by the grammar of `filter.lark`. What fields there are is no matter here."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import TypeAlias

from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken
from lark.exceptions import VisitError

from smart_audit.audit.errors import FilterInvalid
from smart_audit.audit.filters.expressions import Comparator

MAX_LENGTH = 4096
"""Characters of a filter."""
MAX_DEPTH = 32
"""How deep parentheses may be nested."""
MAX_CONDITIONS = 100
"""Conditions and words in a filter."""

KEYWORDS = ("AND", "OR", "NOT")

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))|\*", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "'": "'", "*": "*"}
_TOKENS = {
    "COMPARATOR": "a comparator",
    "ARGUMENT": "a value",
    "TEXT": "a field or a word",
    "RPAR": "a closing parenthesis",
    "AND": "AND",
    "OR": "OR",
}


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as it was written, without its quotes; pieces: what stands between wildcards."""

    pieces: tuple[str, ...]
    quoted: bool
    start: int
    end: int

    @property
    def text(self) -> str:
        """The value, of a literal without wildcards; else with them."""
        return "*".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Global:
    """A value that stands alone."""

    value: Literal

    @property
    def start(self) -> int:
        """Where it begins."""
        return self.value.start

    @property
    def end(self) -> int:
        """Where it has ended."""
        return self.value.end


@dataclass(frozen=True, slots=True)
class Comparison:
    """A name, and what it is compared with; place: of the comparator."""

    path: tuple[Literal, ...]
    comparator: Comparator
    place: int
    arg: "Literal | Composite"

    @property
    def start(self) -> int:
        """Where it begins."""
        return self.path[0].start

    @property
    def end(self) -> int:
        """Where it has ended."""
        return self.arg.end


@dataclass(frozen=True, slots=True)
class Composite:
    """An expression in parentheses."""

    inner: "Node"
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Junction:
    """Parts that are joined, by AND or by OR."""

    parts: "tuple[Node, ...]"
    either: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Negation:
    """What is negated."""

    part: "Node"
    start: int
    end: int


Node: TypeAlias = Global | Comparison | Composite | Junction | Negation


def read(text: str) -> Node | None:
    """The tree of a filter; None for one that is empty. Places count from 0.

    Raises: FilterInvalid.
    """
    if len(text) > MAX_LENGTH:
        raise FilterInvalid(f"is longer than {MAX_LENGTH} characters", MAX_LENGTH + 1)
    if "\0" in text:
        raise FilterInvalid("must not hold the character NUL", text.index("\0") + 1)
    _check_depth(text)
    if not text.strip():
        return None
    try:
        tree: Node = _parser().parse(text)  # type: ignore[assignment]
    except VisitError as error:
        raise error.orig_exc from None
    except UnexpectedInput as error:
        raise _unexpected(error, text) from None
    return tree


@cache
def _parser() -> Lark:
    grammar = files(__package__).joinpath("filter.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer="contextual", transformer=_Builder())


class _Builder(Transformer[Token, Node]):
    """Makes nodes, and looks after white space."""

    def value(self, tokens: Sequence[Token]) -> Literal:
        return _literal(tokens[0])

    def argument(self, tokens: Sequence[Token]) -> Literal:
        return _no_keyword(_literal(tokens[0]), "a value")

    def member(self, parts: "Sequence[Literal | Token]") -> tuple[Literal, ...]:
        for left, right in pairwise(parts):
            if _end(left) != _start(right):
                raise FilterInvalid("has a space beside a dot; a path has none", _end(left) + 1)
        path = tuple(part for part in parts if isinstance(part, Literal))
        _no_keyword(path[0], "a field or a word")
        return path

    def restriction(self, parts: Sequence[tuple[Literal, ...]]) -> Global:
        return Global(_one(parts[0]))

    def comparison(
        self, parts: "tuple[tuple[Literal, ...], Token, Literal | Composite]"
    ) -> Comparison:
        path, comparator, arg = parts
        return Comparison(path, Comparator(str(comparator)), _start(comparator), arg)

    def composite(self, parts: "tuple[Token, Node, Token]") -> Composite:
        opening, inner, closing = parts
        return Composite(inner, _start(opening), _end(closing))

    def negation(self, parts: "tuple[Token, Node]") -> Negation:
        sign, part = parts
        adjacent = _end(sign) == part.start
        if sign.type == "NOT" and adjacent:
            raise FilterInvalid("needs a space behind NOT", part.start + 1)
        if sign.type == "MINUS" and not adjacent:
            raise FilterInvalid("must have no space behind the minus of a negation", _end(sign) + 1)
        return Negation(part, _start(sign), part.end)

    def sequence(self, parts: Sequence[Node]) -> Node:
        for left, right in pairwise(parts):
            if left.end == right.start:
                raise _not_separated(left, right)
        return _joined(parts, either=False)

    def conjunction(self, parts: "Sequence[Node | Token]") -> Node:
        return _joined(_separated(parts), either=False)

    def disjunction(self, parts: "Sequence[Node | Token]") -> Node:
        return _joined(_separated(parts), either=True)


def _one(path: Sequence[Literal]) -> Literal:
    """A value that the grammar takes for a path, such as `example.com`."""
    first, *others = path
    pieces = list(first.pieces)
    for other in others:
        pieces[-1] += f".{other.pieces[0]}"
        pieces += other.pieces[1:]
    quoted = any(literal.quoted for literal in path)
    return Literal(tuple(pieces), quoted, first.start, path[-1].end)


def _no_keyword(part: Literal, wanted: str) -> Literal:
    """Raises: FilterInvalid. Keywords are words only where they are quoted, or behind a dot."""
    if not part.quoted and part.text in KEYWORDS:
        raise FilterInvalid(f"has {part.text} where {wanted} is expected", part.start + 1)
    return part


def _joined(parts: Sequence[Node], *, either: bool) -> Node:
    return Junction(tuple(parts), either, parts[0].start, parts[-1].end)


def _separated(parts: "Sequence[Node | Token]") -> Sequence[Node]:
    """The parts around keywords, which need space on both sides."""
    for left, right in pairwise(parts):
        if _end(left) == _start(right):
            keyword = left if isinstance(left, Token) else right
            raise FilterInvalid(f"needs a space around {keyword}", _start(right) + 1)
    return [part for part in parts if not isinstance(part, Token)]


def _not_separated(left: Node, right: Node) -> FilterInvalid:
    if isinstance(right, Composite) and isinstance(left, Global):
        said = f"calls a function, {shown(left.value.text)}; there are none"
        return FilterInvalid(said, left.start + 1)
    return FilterInvalid("needs a space here, or quotes around the whole value", right.start + 1)


def _start(part: "Token | Literal | Node") -> int:
    return (part.start_pos or 0) if isinstance(part, Token) else part.start


def _end(part: "Token | Literal | Node") -> int:
    return (part.end_pos or 0) if isinstance(part, Token) else part.end


def _literal(token: Token) -> Literal:
    """Raises: FilterInvalid for an unknown escape."""
    start, end = _start(token), _end(token)
    if token.type != "STRING":
        return Literal(tuple(token.split("*")), quoted=False, start=start, end=end)
    pieces, place, content = [""], 0, token[1:-1]
    for found in _ESCAPE.finditer(content):
        pieces[-1] += content[place : found.start()]
        place = found.end()
        if found[0] == "*":
            pieces.append("")
        else:
            pieces[-1] += _unescaped(found, start + 2 + found.start())
    pieces[-1] += content[place:]
    return Literal(tuple(pieces), quoted=True, start=start, end=end)


def _unescaped(found: re.Match[str], column: int) -> str:
    if found[1]:
        character = chr(int(found[1], 16))
        if character == "\0" or "\ud800" <= character <= "\udfff":
            raise FilterInvalid(f"has {found[0]}, which is no character of a text", column)
        return character
    if found[2] not in _ESCAPES:
        known = " ".join(f"\\{escape}" for escape in _ESCAPES)
        raise FilterInvalid(f"has an unknown escape {found[0]}; known are {known} \\uXXXX", column)
    return _ESCAPES[found[2]]


def _check_depth(text: str) -> None:
    """Raises: FilterInvalid. Parentheses in quotes do not count, as far as that can be told."""
    depth = 0
    for found in re.finditer(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[()]", text, re.DOTALL):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth > MAX_DEPTH:
            raise FilterInvalid(f"nests parentheses more than {MAX_DEPTH} deep", found.start() + 1)


def _unexpected(error: UnexpectedInput, text: str) -> FilterInvalid:
    if isinstance(error, UnexpectedToken):
        if error.token.type == "$END":
            return FilterInvalid(f"ends where {_wanted(error.accepts)} is expected", len(text) + 1)
        place = _start(error.token)
        said = f"has {shown(str(error.token))} where {_wanted(error.accepts)} is expected"
        return FilterInvalid(said, place + 1)
    place = error.pos_in_stream or 0
    character = text[place : place + 1]
    if character in "\"'":
        return FilterInvalid("has a quote that is not closed", place + 1)
    return FilterInvalid(f"has {character} outside of quotes; quote the value", place + 1)


def _wanted(accepted: "set[str] | None") -> str:
    wanted = [said for token, said in _TOKENS.items() if token in (accepted or ())]
    return " or ".join(wanted) or "the end"


def shown(text: str) -> str:
    """A part of a filter as a message shows it."""
    return text if len(text) <= 40 else f"{text[:40]}…"  # noqa: PLR2004
