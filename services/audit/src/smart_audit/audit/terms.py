"""Terms: what an event is found by, as keyed hashes.

What is personal or bulky is sealed, and an index of it in plain would undo that. So each word and
each value goes into the projection as a term: 64 bits of BLAKE2b (RFC 7693) under a key of the
organisation's, which lies outside the database. Terms can be compared and nothing else; there are
neither ranges nor beginnings of words.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from itertools import islice
from typing import Any, NamedTuple

from smart_audit.audit.domain import Event
from smart_audit.audit.fields import known_field

MAX_TERMS = 2048
"""Terms of one event; what comes after is not found by."""
MAX_WORDS = 128
"""Words of one value that are indexed."""
MAX_VALUES = 256
"""Values of one event's metadata that are indexed."""
MAX_WORD = 64
"""Characters of a word; longer ones are no words anybody types."""
REMEMBERED = 20_000
REMEMBERED_LENGTH = 128

_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![^\W_])"
_RUN = re.compile(rf"(?<![^\W_]){_UUID}|[^\W_]+")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


class EventTerms(NamedTuple):
    """The terms of one event; none is there twice, nor in both."""

    public: list[int]
    sealed: list[int]
    address: int | None
    """The term of its source address."""


class TermKey:
    """Makes the terms of one organisation; `secret` has 32 bytes.

    A term is a signed integer of 64 bits.
    """

    def __init__(self, secret: bytes) -> None:
        # To copy it takes half as long as to begin anew with the key.
        self._begun = blake2b(digest_size=8, key=secret)
        # Most values stand there often: who acts, from where, what was done. So do most words.
        self._known: dict[tuple[str, str], tuple[int, ...]] = {}
        self._terms: dict[str, int] = {}

    def equals(self, field: str, value: str) -> int:
        """Of a field with this value, exactly."""
        return self._term(f"={field}\0{value}")

    def present(self, field: str) -> int:
        """Of a field that has any value."""
        return self._term(f"?{field}")

    def has_word(self, field: str, word: str) -> int:
        """Of a field that has this word, one of `words`."""
        return self._term(f":{field}\0{word}")

    def word(self, word: str) -> int:
        """Of an event that has this word, one of `words`, in any field."""
        return self._term(f"*{word}")

    def of(self, field: str, value: str) -> tuple[int, ...]:
        """All terms that are asked of a field with this value; none of an empty one."""
        known = self._known.get((field, value))
        if known is None:
            known = tuple(self._all(field, value)) if value else ()
            self._remember((field, value), known)
        return known

    def around(self, path: str) -> tuple[int, ...]:
        """The terms of the objects around a value of metadata: that they are there."""
        known = self._known.get((path, "\0"))
        if known is None:
            known = tuple(map(self.present, _objects_around(path)))
            self._remember((path, "\0"), known)
        return known

    def _all(self, field: str, value: str) -> Iterator[int]:
        asked = known_field(field)
        yield self.equals(field, value)
        if asked.has_presence_term:
            yield self.present(field)
        for word in words(value)[:MAX_WORDS]:
            yield self.word(word)
            if asked.words:
                yield self.has_word(field, word)

    def _remember(self, what: tuple[str, str], terms: tuple[int, ...]) -> None:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        if len(what[1]) <= REMEMBERED_LENGTH:
            self._known[what] = terms

    def _term(self, text: str) -> int:
        term = self._terms.get(text)
        if term is None:
            digest = self._begun.copy()
            digest.update(text.encode("utf-8", "replace"))
            term = int.from_bytes(digest.digest(), "big", signed=True)
            if len(self._terms) >= REMEMBERED:
                self._terms.clear()
            if len(text) <= REMEMBERED_LENGTH:
                self._terms[text] = term
        return term


def words(text: str) -> list[str]:
    """The words of a text in its order, in lower case, each once.

    Letters and digits make a word; an identifier such as `GetSecretValue` is one, and so is each
    of its parts. A UUID is one. Source: Unicode NFKC and case folding; RFC 9562, section 4.
    """
    found: dict[str, None] = {}
    normal = text if text.isascii() else unicodedata.normalize("NFKC", text)
    for run in _RUN.findall(normal):
        found[run.casefold()] = None
        if run.isascii() and "-" not in run and not (run.islower() or run.isdigit()):
            found.update(dict.fromkeys(part.casefold() for part in _PART.findall(run)))
    return [word for word in found if len(word) <= MAX_WORD]


def asked_words(text: str) -> list[str]:
    """The words that a text asks for: none of their parts, which only some spellings have.

    Empty where it has no word, or one that is too long to be in an index.
    """
    runs = [run.casefold() for run in _RUN.findall(unicodedata.normalize("NFKC", text))]
    return [] if any(len(run) > MAX_WORD for run in runs) else list(dict.fromkeys(runs))


def _objects_around(path: str) -> Iterator[str]:
    while (path := path.rpartition(".")[0]) and path != "metadata":
        yield path


def text_of(value: Any) -> str:
    """A metadata value as filters spell it: `true`, `12`, `1.5`; a text as it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def leaves_of(metadata: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The values in metadata, each with its path; the members of a list share the list's path."""
    # In one order, whether the event comes from a caller or out of the log.
    pending: list[tuple[str, Any]] = [("metadata", metadata)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, Mapping):
            pending += [(f"{path}.{key}", value[key]) for key in sorted(value, reverse=True)]
        elif isinstance(value, list):
            pending += [(path, one) for one in reversed(value)]
        elif value is not None:
            yield path, value


def terms_of(event: Event, recorded_by: str, key: TermKey) -> EventTerms:
    """The terms of an event, as far as its fields can be read."""
    actor, targets = event.actor, event.targets
    public = [
        *key.of("action", event.action),
        key.equals("outcome", event.outcome.name),
        *key.of("outcome_reason", event.outcome_reason),
        *key.of("actor.id", actor.id),
        *key.of("actor.type", actor.type),
        *key.of("source", event.source),
        *key.of("recorded_by", recorded_by),
    ]
    sealed = [
        *key.of("actor.name", actor.name),
        *key.of("actor.email", actor.email),
        *key.of("source_address", event.source_address),
        *key.of("user_agent", event.user_agent),
    ]
    for target in targets:
        public += key.of("target.id", target.id)
        public += key.of("target.type", target.type)
        sealed += key.of("target.name", target.name)
    for path, value in islice(leaves_of(event.metadata), MAX_VALUES):
        sealed += key.of(path, text_of(value))
        sealed += key.around(path)
    public = list(dict.fromkeys(public[:MAX_TERMS]))
    known = set(public)
    address = key.equals("source_address", event.source_address) if event.source_address else None
    return EventTerms(
        public,
        [term for term in dict.fromkeys(sealed[: MAX_TERMS - len(public)]) if term not in known],
        address,
    )
