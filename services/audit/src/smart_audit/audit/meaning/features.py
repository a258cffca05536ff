"""A kind of event as weighted terms: what it does, to what, in which service, how it ended."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from smart_audit.audit.domain import Outcome
from smart_audit.audit.meaning import vocabulary
from smart_audit.audit.meaning.lexicon import Lexicon, Unit, lexicon
from smart_audit.audit.meaning.wording import Term, stem

DESCRIBED: Final = "\n"
"""Stands in a phrase's text before an event type's name, and before its description."""

_SEGMENTS: Final = re.compile(r"[./:]+")
# lambda.CreateFunction20150331v2: the version of the interface, not of the operation.
_DATED: Final = re.compile(r"(?<=[a-z])\d{8}(?:v\d+)?$")
_IDLE_SEGMENT: Final = re.compile(
    r"v\d\w*|action|alpha|api|beta|com|google|io|microsoft", re.IGNORECASE
)
_LIGHT: Final = frozenset(
    stem(word) for line in vocabulary.lines("light.txt") for word in line.split()
)
"""Stems of words that name anything."""


class Weights(NamedTuple):
    """How much a term of a kind counts.

    `said`: how well a question matches that says the term. `needed`: how much of the kind is left
    unsaid by a question without it. Found on the development part of the benchmark's questions.
    """

    said: float
    needed: float


OPERATION: Final = Weights(1.0, 1.0)
THING: Final = Weights(1.0, 1.0)
CONTEXT: Final = Weights(0.85, 0.3)
NAME: Final = Weights(0.85, 0.1)
TARGET: Final = Weights(0.7, 0.25)
TOLD: Final = Weights(0.95, 0.12)
DESCRIPTION: Final = Weights(0.75, 0.0)
OUTCOME: Final = Weights(1.0, 0.15)
REASON: Final = Weights(0.8, 0.06)
_MODIFIER: Final = 0.9
"""Of a thing that is named beside the main one: instance in "instance profile"."""
_HEAD_PART: Final = 0.9
_OTHER_PART: Final = 0.4
"""Of a part of a term: group, and security, in "security group"."""
_LIGHT_NEEDED: Final = 0.3
_UNKNOWN_NEEDED: Final = 0.8
_ENDINGS: Final = {Outcome.SUCCESS: "", Outcome.FAILURE: "failed", Outcome.DENIED: "denied, failed"}


class Feature(NamedTuple):
    """A term of a kind of event."""

    term: Term
    said: float
    needed: float
    is_operation: bool
    """Whether it is the kind's own operation."""


class Kind(Protocol):
    """What has features: a phrase, or its key."""

    @property
    def action(self) -> str: ...  # noqa: D102
    @property
    def target_types(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def outcome(self) -> Outcome: ...  # noqa: D102
    @property
    def outcome_reason(self) -> str: ...  # noqa: D102
    @property
    def source(self) -> str: ...  # noqa: D102


class Action(NamedTuple):
    """An action in its parts."""

    context: tuple[str, ...]
    """What it belongs to, from the general to the particular: a service, a product's part."""
    things: str
    """What it is done to, if that stands apart: "document" in document.delete; else empty."""
    operation: str
    """What is done, with its things if they stand there: CreateUser."""

    @property
    def told(self) -> str:
        """Under which name the vocabulary may tell more of it."""
        return ".".join(filter(None, (*self.context, self.things, self.operation)))


def undated(action: str) -> str:
    """The action without the date of an interface's version at its end."""
    return _DATED.sub("", action)


@lru_cache(maxsize=16384)
def parse(action: str) -> Action:
    """Take an action apart. Source of the forms: `Event.action` in the contract."""
    segments = [
        one for one in _SEGMENTS.split(undated(action)) if one and not _IDLE_SEGMENT.fullmatch(one)
    ]
    *context, operation = segments or [action]
    if context and _only_operations(operation):
        return Action(tuple(context[:-1]), context[-1], operation)
    return Action(tuple(context), "", operation)


def is_light(unit: Unit) -> bool:
    """Whether a unit is a word that names anything."""
    return len(unit.term) == 1 and unit.term[0] in _LIGHT


def features(kind: Kind, described: str = "") -> list[Feature]:
    """The terms of a kind, each once.

    described: the name and the description of its event type, a line each.
    """
    best: dict[Term, Feature] = {}
    for feature in _features(kind, described):
        known = best.get(feature.term)
        if known is not None:
            feature = Feature(  # noqa: PLW2901 - the better of both
                feature.term,
                max(feature.said, known.said),
                max(feature.needed, known.needed),
                feature.is_operation or known.is_operation,
            )
        best[feature.term] = feature
    # "to.be" has words that are not looked at; it must be something all the same.
    return list(best.values()) or [Feature((kind.action.lower(),), *THING, is_operation=False)]


def _features(kind: Kind, described: str) -> Iterator[Feature]:
    words = lexicon()
    action = parse(kind.action)
    named = [*_main(action.operation, words), *_main(action.things, words, operations=False)]
    yield from named
    for segment in action.context:
        meaning = words.names.get(segment.lower(), "")
        yield from _beside(segment, NAME._replace(said=CONTEXT.said) if meaning else CONTEXT, words)
        yield from _beside(meaning, NAME, words)
    for target in kind.target_types:
        yield from _beside(_SEGMENTS.split(target)[-1], TARGET, words)
    for feature in named:
        if len(feature.term) == 1 and feature.needed >= THING.needed:
            yield from _beside(words.names.get(feature.term[0], ""), NAME, words)
    for told in words.told.get(undated(kind.action), "").split(","):
        yield from _beside(told, TOLD, words, operations=True)
    name, _, description = described.partition(DESCRIBED)
    yield from _beside(name, TOLD, words, operations=True)
    yield from _beside(description, DESCRIPTION, words)
    yield from _beside(_ENDINGS[kind.outcome], OUTCOME, words)
    yield from _beside(kind.outcome_reason, REASON, words)
    yield from _beside(kind.source, NAME, words)


def _main(text: str, words: Lexicon, *, operations: bool = True) -> Iterator[Feature]:
    """Features of what the action names: the operation at either end, the main thing last."""
    _, units = words.read(text)
    heavy = [place for place, unit in enumerate(units) if not is_light(unit)]
    head = heavy[-1] if heavy else -1
    for place, unit in enumerate(units):
        own = operations and _is_own(unit, place, units, words)
        said = THING.said * (_MODIFIER if place < head and not own else 1)
        needed = OPERATION.needed if own else THING.needed
        if is_light(unit):
            needed *= _LIGHT_NEEDED
        elif operations and unit.term not in words.concepts:
            needed *= _UNKNOWN_NEEDED
        yield from _unit(unit, Weights(said, needed), words, own=own)


def _beside(
    text: str, weights: Weights, words: Lexicon, *, operations: bool = False
) -> Iterator[Feature]:
    """Features of what stands beside the action. It may say an operation in other words."""
    _, units = words.read(text)
    for place, unit in enumerate(units):
        needed = weights.needed * (_LIGHT_NEEDED if is_light(unit) else 1)
        own = operations and _is_own(unit, place, units, words)
        yield from _unit(unit, Weights(weights.said, needed), words, own=own)


def _unit(unit: Unit, weights: Weights, words: Lexicon, *, own: bool) -> Iterator[Feature]:
    yield Feature(unit.term, weights.said, weights.needed, own)
    for part in unit.parts:
        factor = _HEAD_PART if part[-1] == unit.term[-1] else _OTHER_PART
        yield Feature(part, weights.said * factor, 0.0, own and part in words.operations)


def _is_own(unit: Unit, place: int, units: Sequence[Unit], words: Lexicon) -> bool:
    return unit.term in words.operations and place in (0, len(units) - 1)


def _only_operations(segment: str) -> bool:
    """Whether a segment names no thing: "delete", "list_all", not "CreateUser"."""
    words = lexicon()
    _, units = words.read(segment)
    return all(
        any(concept < words.operations_end for concept in words.concepts.get(unit.term, ()))
        for unit in units
    )
