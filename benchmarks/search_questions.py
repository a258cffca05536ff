"""Questions with known answers, and how well a ranking answers them.

Figures are over events, not kinds: a kind that happened ten times fills ten places. nDCG@10 takes
relevance as 0 or 1, and as ideal that the first ten places, or as many as there are relevant
events, are relevant. MRR is one by the first relevant place.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from smart_audit.audit.domain import Outcome
from smart_audit.audit.meaning.phrases import PhraseKey

DATA = Path(__file__).parents[1] / "tests" / "data" / "search"
PLACES = 10


class Figures(NamedTuple):
    """Means over questions."""

    ndcg: float
    mrr: float


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and what answers it."""

    query: str
    relevant: frozenset[str]
    outcome: str
    outcome_reasons: frozenset[str]

    def is_answered_by(self, kind: PhraseKey) -> bool:
        """Whether events of a kind are relevant."""
        if self.outcome and kind.outcome.name != self.outcome:
            return False
        if self.outcome_reasons and kind.outcome_reason not in self.outcome_reasons:
            return False
        name = name_of(kind)
        return not self.relevant.isdisjoint({"*", name, f"{name}@{kind.outcome_reason}"})


def questions(name: str) -> list[Question]:
    """The questions of a file."""
    return [
        Question(
            one["query"],
            frozenset(one["relevant"]),
            one.get("outcome", ""),
            frozenset(one.get("outcome_reasons", ())),
        )
        for one in _lines(DATA / f"{name}.jsonl")
    ]


def product_kinds() -> Counter[PhraseKey]:
    """The kinds of event of the products, and how many times each happened."""
    return Counter(
        {
            PhraseKey(
                one["action"],
                tuple(sorted(one["target_types"])),
                Outcome[one["outcome"]],
                one["outcome_reason"],
                one["source"],
            ): one["count"]
            for one in _lines(DATA / "products.jsonl")
        }
    )


def name_of(kind: PhraseKey) -> str:
    """What questions call it."""
    if kind.source == "cloudtrail":
        return kind.action.replace(".", ":", 1)
    return f"{kind.source}:{kind.action}"


def figures(
    asked: Sequence[Question],
    kinds: Mapping[PhraseKey, int],
    answer: Callable[[str], Iterable[PhraseKey]],
) -> Figures:
    """How well kinds are ranked. answer: gives the kind of each event, the best event first."""
    each = [_figures(one, kinds, answer(one.query)) for one in asked]
    return Figures(*(sum(column) / len(each) for column in zip(*each, strict=True)))


def _figures(
    question: Question, kinds: Mapping[PhraseKey, int], answer: Iterable[PhraseKey]
) -> Figures:
    total = sum(count for kind, count in kinds.items() if question.is_answered_by(kind))
    gain, first = 0.0, 0.0
    for place, kind in enumerate(answer, 1):
        if question.is_answered_by(kind):
            first = first or 1 / place
            gain += 1 / math.log2(place + 1) if place <= PLACES else 0
        if first and place >= PLACES:
            break
    ideal = sum(1 / math.log2(place + 1) for place in range(1, min(PLACES, total) + 1))
    return Figures(gain / ideal, first)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open() as file:
        yield from map(json.loads, file)
