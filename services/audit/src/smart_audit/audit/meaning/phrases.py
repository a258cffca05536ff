"""The distinct kinds of event: what makes two events the same kind, and the kind in words."""

import hashlib
from functools import lru_cache
from typing import Final, NamedTuple, NewType

from smart_audit.audit.domain import Event, Outcome
from smart_audit.audit.meaning import rendering
from smart_audit.audit.meaning.reasons import template

PhraseId = NewType("PhraseId", int)
"""63 bits, so that it fits PostgreSQL's bigint."""

MAX_TARGET_TYPES: Final = 8
_SEPARATOR: Final = "\x1f"


class PhraseKey(NamedTuple):
    """What events of one kind have in common."""

    action: str
    target_types: tuple[str, ...]
    """Each once, in order of the alphabet, at most 8."""
    outcome: Outcome
    outcome_reason: str
    """A template, see `reasons.template`."""
    source: str

    @property
    def id(self) -> PhraseId:
        """The same in every process and every rebuild: SHA-256 of the fields, its first 63 bits."""
        fields = (
            self.action,
            _SEPARATOR.join(self.target_types),
            str(int(self.outcome)),
            self.outcome_reason,
            self.source,
        )
        digest = hashlib.sha256()
        for field in fields:
            encoded = field.encode()
            digest.update(len(encoded).to_bytes(4, "big") + encoded)
        return PhraseId(int.from_bytes(digest.digest()[:8], "big") >> 1)


class Phrase(NamedTuple):
    """A kind of event, with its id and the text that is embedded."""

    id: PhraseId
    action: str
    target_types: tuple[str, ...]
    outcome: Outcome
    outcome_reason: str
    source: str
    text: str


def key_of(event: Event) -> PhraseKey:
    """The kind of an event."""
    types = {_storable(target.type) for target in event.targets if target.type}
    return PhraseKey(
        event.action,
        tuple(sorted(types)[:MAX_TARGET_TYPES]),
        event.outcome,
        template(_storable(event.outcome_reason)),
        _storable(event.source),
    )


def _storable(text: str) -> str:
    """The one character that an event may have and a text of PostgreSQL may not is replaced."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


def phrase_of(event: Event) -> Phrase:
    """The kind of an event in words. Kinds are few, and remembered: 1 to 2 µs an event."""
    return phrase(key_of(event))


@lru_cache(maxsize=16384)
def phrase(key: PhraseKey) -> Phrase:
    """The kind in words."""
    return Phrase(key.id, *key, text=rendering.text(key))
