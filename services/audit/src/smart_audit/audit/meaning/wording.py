"""Words: how texts and identifiers fall into them, and how two forms of a word become one."""

import re
from functools import lru_cache
from typing import Final

from snowballstemmer.english_stemmer import EnglishStemmer

from smart_audit.audit.meaning import vocabulary

Term = tuple[str, ...]
"""The stems of one word, or of several that mean one thing together: ("secur", "group")."""

# "DBInstance" is DB and Instance; "MFADevices" is MFA and Devices; "2fa" stays whole.
_WORDS: Final = re.compile(
    r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+(?:'[a-z]+)?|[A-Z]+|\d+[a-z]*", re.ASCII
)
_PLURAL_OF_CAPITALS: Final = re.compile(r"([A-Z]{2,})s(?![a-z])")
_SPELLINGS: Final = re.compile(r"is(e[ds]?|ing|ations?)$")
_SHORTEST_RESPELT: Final = 7
"""Letters of a word whose -ise is made -ize: "organise" but not "raise"."""

_IRREGULAR: Final = {
    form: word
    for word, forms in {
        "become": "became",
        "begin": "began begun",
        "break": "broke broken",
        "bring": "brought",
        "build": "built",
        "choose": "chose chosen",
        "find": "found",
        "freeze": "froze frozen",
        "get": "got gotten",
        "give": "gave given",
        "go": "went gone",
        "hide": "hid hidden",
        "hold": "held",
        "keep": "kept",
        "lay": "laid",
        "leave": "left",
        "lose": "lost",
        "make": "made",
        "pay": "paid",
        "run": "ran",
        "see": "saw seen",
        "seek": "sought",
        "send": "sent",
        "show": "shown",
        "spin": "spun",
        "steal": "stole stolen",
        "take": "took taken",
        "tear": "tore torn",
        "throw": "threw thrown",
        "win": "won",
        "withdraw": "withdrew withdrawn",
        "write": "wrote written",
    }.items()
    for form in forms.split()
}
_STEMMER: Final = EnglishStemmer()

_IDLE: Final = frozenset(word for line in vocabulary.lines("idle.txt") for word in line.split())


def words(text: str) -> list[str]:
    """The words of a text or an identifier in lower case: "GetSecretValue": get, secret, value."""
    found = _WORDS.findall(_PLURAL_OF_CAPITALS.sub(r"\1", text))
    return [word.lower().removesuffix("'s") for word in found]


@lru_cache(maxsize=32768)
def stem(word: str) -> str:
    """What the forms of a word have in common. `word` is in lower case."""
    word = _IRREGULAR.get(word, word)
    if len(word) >= _SHORTEST_RESPELT:
        word = _SPELLINGS.sub(r"iz\1", word)
    stemmed: str = _STEMMER.stemWord(word)
    return stemmed


def is_idle(word: str) -> bool:
    """Whether a word, in lower case, says nothing of what happened."""
    return word in _IDLE
