"""Finding what may be the name of a person; the log decides whether it is one."""

import re
from collections.abc import Iterator
from typing import Final

from smart_audit.audit.questions.readings import Kind, Option, Reading, any_of, equals, has

_BY: Final = re.compile(r"\b(?P<cue>by|user|actor)\s+(?=[^\W\d_])", re.IGNORECASE)
_WORD: Final = re.compile(r"[^\W\d_]+(?:['’.-][^\W\d_]+)*")
_MAX_WORDS: Final = 3
_MAX_RUN: Final = 6
_STOP_WORDS: Final = (
    "a about after all an and any are as at because been before but by during each every everybody "
    "everyone for from had has have he her his i if in into is it its me my no nobody not of off "
    "on once or our out over she since so some somebody someone than that the their them then "
    "there they this those through to until up us was we were what when where which who whom "
    "whose why with within without you your using via user users someones anybody anyone"
)
_NO_NAMES: Final = frozenset(_STOP_WORDS.split())


def find_people(text: str) -> Iterator[Reading]:
    """Parts that may name a person: after "by", and words with capitals."""
    for match in _BY.finditer(text):
        words = _run(text, match.end(), capitals=False)
        # "by" alone makes a name out of any word of one; "user account" is another thing.
        acted = _has_name if match["cue"].lower() == "by" else _is_named
        options = [
            Option(match.start(), words[count - 1].end(), acted(words[:count]))
            for count in range(min(len(words), _MAX_WORDS), 0, -1)
        ]
        if options:
            yield Reading(Kind.PERSON, options, certain=False)
    at = 0
    while found := _WORD.search(text, at):
        words = _run(text, found.start(), capitals=True)
        if words:
            yield Reading(Kind.PERSON, list(_options(words)), certain=False)
        at = words[-1].end() if words else found.end()


def _run(text: str, at: int, *, capitals: bool) -> list[re.Match[str]]:
    """Words that follow each other with spaces alone between them, and may be a name."""
    words: list[re.Match[str]] = []
    while len(words) < _MAX_RUN and (match := _WORD.match(text, at)):
        word = match[0]
        if word.lower() in _NO_NAMES or (capitals and not _capital(word)):
            break
        words.append(match)
        at = match.end()
        while at < len(text) and text[at] == " ":
            at += 1
    return words


def _capital(word: str) -> bool:
    """Whether it is written as names are: "Ada", and neither "ada" nor "IAM" nor "GetUser"."""
    return len(word) > 1 and word[0].isupper() and word[1:].islower()


def _options(words: list[re.Match[str]]) -> Iterator[Option]:
    """The longest part first."""
    for count in range(min(len(words), _MAX_WORDS), 0, -1):
        for first in range(len(words) - count + 1):
            part = words[first : first + count]
            name = " ".join(word[0] for word in part)
            known = any_of(has("actor.name", name), has("target.name", name))
            alone = name.lower() if count == 1 else ""
            yield Option(part[0].start(), part[-1].end(), known, alone)


def _has_name(words: list[re.Match[str]]) -> str:
    name = " ".join(word[0] for word in words)
    return any_of(has("actor.name", name), equals("actor.id", name))


def _is_named(words: list[re.Match[str]]) -> str:
    name = " ".join(word[0] for word in words)
    return any_of(equals("actor.name", name), equals("actor.id", name))
