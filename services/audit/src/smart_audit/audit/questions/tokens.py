"""The words, numbers and signs of a question, and where they stand."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    r"""
    (?P<moment>\d{4}-\d\d-\d\d(?:T|\ (?=\d\d:\d\d))\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?
               (?:Z|[+-]\d\d:?\d\d)?(?![\w:]))         # ISO 8601, a date and a time of day
  | (?P<date>\d{4}-\d\d-\d\d(?![\w-])|\d{4}/\d\d/\d\d(?![\w/]))
  | (?P<slashed>\d{1,2}/\d{1,2}(?:/\d{4})?(?![\w/.])|\d{1,2}\.\d{1,2}\.\d{4}(?![\w.]))
  | (?P<clock>\d{1,2}:\d\d(?::\d\d)?(?![\w:.]))
  | (?P<ordinal>\d{1,2}(?:st|nd|rd|th)\b)
  | (?P<number>\d+)
  | (?P<word>[^\W\d_]+)
  | (?P<sign>\S)
    """,
    re.VERBOSE | re.IGNORECASE,
)


class Token(NamedTuple):
    """One token: its kind in the expression above, its text in lower case, its place."""

    kind: str
    text: str
    start: int
    end: int
    joined: bool
    """Whether it follows the one before without a space."""


Tokens = Sequence[Token]


def tokenise(text: str) -> list[Token]:
    """The tokens of a text, in order."""
    tokens: list[Token] = []
    for match in _TOKEN.finditer(text):
        joined = bool(tokens) and tokens[-1].end == match.start()
        kind = match.lastgroup or "sign"
        tokens.append(Token(kind, match[0].lower(), match.start(), match.end(), joined))
    return tokens


def word(tokens: Tokens, at: int) -> str:
    """The text of the token at a place; empty past the end."""
    return tokens[at].text if at < len(tokens) else ""


def kind(tokens: Tokens, at: int) -> str:
    """The kind of the token at a place; empty past the end."""
    return tokens[at].kind if at < len(tokens) else ""


def skip(tokens: Tokens, at: int, *texts: str) -> int:
    """The next place if one of these texts stands here, and else this one."""
    return at + 1 if word(tokens, at) in texts else at
