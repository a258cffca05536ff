"""The words of an action, and what its verb does."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

_SEGMENT: Final = re.compile(r"[.:/]")
# Between words: "end_sessions", "GetObject", "ListMFADevices", "createUser".
_BETWEEN: Final = re.compile(r"[_-]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

CREATE, READ, UPDATE, DELETE = "create", "read", "update", "delete"

_VERBS: Final[Mapping[str, str]] = {
    verb: meaning
    for meaning, verbs in {
        CREATE: "create add insert new register issue place upload import record invite generate "
        "copy clone provision allocate publish post submit start run launch send restore",
        READ: "read get list describe view show head lookup search find query export download "
        "check fetch select scan preview open access inspect introspect disclose retrieve "
        "discover watch browse print",
        UPDATE: "update set modify change put edit rename move enable disable attach detach "
        "associate disassociate tag untag rotate transfer assign unassign replace patch reset "
        "renew extend stop suspend resume approve reject accept decline lock unlock grant switch "
        "authorize",
        DELETE: "delete remove destroy terminate revoke purge erase drop cancel release deregister "
        "withdraw end leave deny deallocate clear",
    }.items()
    for verb in verbs.split()
}


def words_of(action: str) -> Sequence[str]:
    """The words of the last part of an action, e.g. ["end", "sessions"]; never none."""
    last = next(filter(None, reversed(_SEGMENT.split(action))), action)
    return [word.lower() for word in _BETWEEN.split(last) if word] or [last.lower()]


def meaning_of(words: Sequence[str]) -> str | None:
    """Which of the four the words mean: "get object", "object created", "created"."""
    return _meaning(words[0]) or _meaning(words[-1])


def _meaning(word: str) -> str | None:
    # The past tense counts as well: created, viewed.
    stems = (word, word.removesuffix("d"), word.removesuffix("ed"))
    return next((_VERBS[stem] for stem in stems if stem in _VERBS), None)
