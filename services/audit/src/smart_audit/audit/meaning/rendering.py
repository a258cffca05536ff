"""A kind of event in words: its verb, its object, its service, its outcome."""

import re
from functools import lru_cache
from typing import Final, Protocol

from smart_audit.audit.domain import Outcome

_SEGMENTS: Final = re.compile(r"[./:]+")
_WORDS: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_VERSION: Final = re.compile(r"(?<=[a-z])\d{8}(?:v\d+)?$|(?<=[a-z])_?v\d+$")
_OUTCOMES: Final = {
    Outcome.SUCCESS: "",
    Outcome.FAILURE: "failed",
    Outcome.DENIED: "denied, not allowed",
}


class Kind(Protocol):
    """What is rendered."""

    @property
    def action(self) -> str: ...  # noqa: D102
    @property
    def target_types(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def outcome(self) -> Outcome: ...  # noqa: D102
    @property
    def outcome_reason(self) -> str: ...  # noqa: D102


@lru_cache(maxsize=16384)
def words(identifier: str) -> tuple[str, ...]:
    """The words of an identifier in lower case: "GetSecretValue" gives get, secret, value."""
    return tuple(word.lower() for word in _WORDS.findall(_VERSION.sub("", identifier)))


def text(kind: Kind) -> str:
    """The text that is embedded."""
    *service, operation = [" ".join(words(part)) for part in _SEGMENTS.split(kind.action)]
    targets = [" ".join(words(_SEGMENTS.split(type_)[-1])) for type_ in kind.target_types]
    ending = _OUTCOMES[kind.outcome]
    if kind.outcome_reason:
        ending = f"{ending}: {' '.join(words(kind.outcome_reason))}"
    parts = (operation, " ".join(service), ", ".join(targets), ending)
    return ". ".join(part for part in parts if part)
