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
from typing import Any, NamedTuple

from smart_audit.audit.domain import Event

MAX_WORDS = 256
"""Words of one event that are indexed; its values are, all the same."""
MAX_VALUES = 256
"""Values of one event's metadata that are indexed."""
MAX_WORD = 64
"""Characters of a word; longer ones are no words anybody types."""
REMEMBERED = 200_000

_RUN = re.compile(r"[^\W_]+")
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
        self._secret = secret
        self._known: dict[str, int] = {}

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

    def _term(self, text: str) -> int:
        term = self._known.get(text)
        if term is None:
            digest = blake2b(text.encode("utf-8", "replace"), digest_size=8, key=self._secret)
            term = int.from_bytes(digest.digest(), "big", signed=True)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[text] = term
        return term


def words(text: str) -> list[str]:
    """The words of a text in its order, in lower case, each once.

    Letters and digits make a word; an identifier such as `GetSecretValue` is one, and so is each
    of its parts. Source: Unicode NFKC and case folding.
    """
    found: dict[str, None] = {}
    for run in _RUN.findall(unicodedata.normalize("NFKC", text)):
        found[run.casefold()] = None
        if run.isascii() and not (run.islower() or run.isdigit()):
            found.update(dict.fromkeys(part.casefold() for part in _PART.findall(run)))
    return [word for word in found if len(word) <= MAX_WORD]


def asked_words(text: str) -> list[str]:
    """The words that a text asks for: none of their parts, which only some spellings have.

    Empty where it has no word, or one that is too long to be in an index.
    """
    runs = [run.casefold() for run in _RUN.findall(unicodedata.normalize("NFKC", text))]
    return [] if any(len(run) > MAX_WORD for run in runs) else list(dict.fromkeys(runs))


def text_of(value: Any) -> str:
    """A metadata value as filters spell it: `true`, `12`, `1.5`; a text as it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def leaves_of(metadata: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The values in metadata, each with its path; the members of a list share the list's path."""
    pending: list[tuple[str, Any]] = [(f"metadata.{key}", metadata[key]) for key in metadata]
    pending.reverse()
    while pending:
        path, value = pending.pop()
        if isinstance(value, Mapping):
            pending += [(f"{path}.{key}", value[key]) for key in reversed(value)]
        elif isinstance(value, list):
            pending += [(path, one) for one in reversed(value)]
        elif value is not None:
            yield path, value


def terms_of(event: Event, recorded_by: str, key: TermKey) -> EventTerms:
    """The terms of an event, as far as its fields can be read."""
    public = _Gathering(key)
    public.field("action", event.action)
    public.field("outcome_reason", event.outcome_reason)
    public.field("actor.id", event.actor.id)
    public.exactly("actor.type", event.actor.type)
    public.exactly("source", event.source)
    public.exactly("recorded_by", recorded_by)
    for target in event.targets:
        public.field("target.id", target.id)
        public.exactly("target.type", target.type)
    sealed = _Gathering(key)
    sealed.field("actor.name", event.actor.name)
    sealed.field("actor.email", event.actor.email)
    for target in event.targets:
        sealed.field("target.name", target.name)
    sealed.field("source_address", event.source_address)
    sealed.field("user_agent", event.user_agent)
    for number, (path, value) in enumerate(leaves_of(event.metadata)):
        if number >= MAX_VALUES:
            break
        sealed.field(path, text_of(value))
        sealed.beneath(path)
    address = key.equals("source_address", event.source_address) if event.source_address else None
    return EventTerms(
        list(public.terms), [term for term in sealed.terms if term not in public.terms], address
    )


class _Gathering:
    """Terms on their way together, in order."""

    def __init__(self, key: TermKey) -> None:
        self._key = key
        self._words = 0
        self.terms: dict[int, None] = {}

    def exactly(self, field: str, value: str) -> None:
        """A field that is asked for by its whole value."""
        if value:
            self.terms[self._key.equals(field, value)] = None

    def field(self, field: str, value: str) -> None:
        """A field that is asked for by its value, by its words, or whether it is there."""
        if value:
            self.exactly(field, value)
            self.terms[self._key.present(field)] = None
            for word in words(value)[: MAX_WORDS - self._words]:
                self._words += 1
                self.terms[self._key.word(word)] = None
                self.terms[self._key.has_word(field, word)] = None

    def beneath(self, path: str) -> None:
        """That the objects around a value are there."""
        while (path := path.rpartition(".")[0]) and path != "metadata":
            self.terms[self._key.present(path)] = None
