"""Templates of reasons: what a reason says apart from its names and numbers."""

import re
from functools import lru_cache
from typing import Final

GAP: Final = "*"
"""Stands for what was taken out."""
MAX_WORDS: Final = 16
MAX_WORD: Final = 48
_SQLSTATE: Final = re.compile(r"[0-9A-Z]{5}")
_QUOTED: Final = re.compile(r"\"[^\"]*\"|`[^`]*`|(?<!\w)'[^']*'(?!\w)|<[^>]*>|\([^)]*\d[^)]*\)")
_NAMES: Final = re.compile(
    r"""
    \S+@\S+                                     # an e-mail address
  | [a-z][a-z0-9+.-]*://\S+ | arn:\S+           # a URL, an ARN
  | (?<!\w)/\S+/\S*                             # a path
  | \b[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\b  # a UUID
    """,
    re.VERBOSE | re.IGNORECASE,
)
_LONG_NUMBER: Final = re.compile(r"\d{4,}")
_EDGES: Final = ".,;:!?()[]{}"


@lru_cache(maxsize=8192)
def template(reason: str) -> str:
    """The reason with ids, names in quotes and numbers replaced by `*`, at most 16 words.

    A bare code stays as it is: "AccessDenied", "Client.InvalidVpcID.NotFound", "HTTP_403",
    "42501". Free text keeps its words, so that as many users as there may be make one template:
    "user 'ada' has 3 sessions" gives "user * has * sessions".
    """
    if _SQLSTATE.fullmatch(reason):
        return reason
    words = _NAMES.sub(GAP, _QUOTED.sub(GAP, reason)).split()
    keep = _word_of_text if len(words) > 1 else _code
    kept: list[str] = []
    for word in map(keep, words):
        if word != GAP or kept[-1:] != [GAP]:
            kept.append(word)
    return " ".join(kept[:MAX_WORDS])


def _code(word: str) -> str:
    """A code of one word: only long numbers and what looks random is taken out."""
    if _LONG_NUMBER.search(word) or len(word) > MAX_WORD * 2 or _looks_random(word):
        return GAP
    return word


def _word_of_text(word: str) -> str:
    bare = word.strip(_EDGES)
    if any(map(str.isdigit, bare)) or len(bare) > MAX_WORD or GAP in bare:
        return GAP
    return word


def _looks_random(word: str) -> bool:
    """Whether letters and digits change places too often for a name: "sess_8Zk9d2ks"."""
    changes = re.findall(r"[A-Za-z](?=\d)|\d(?=[A-Za-z])", word)
    return len(changes) > 2  # noqa: PLR2004
