"""An entry of the log as an event: the leaf's public members, and the disclosures in their places.

A disclosure is named by the path of its field, as in "actor.name" or "targets.0.name". Nothing
here knows which members and fields there are.

Source: docs/log-format.md; docs/evidence.md, "Events".
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from smart_audit.client.evidence.lines import EvidenceError, doubles, is_time
from smart_audit.client.evidence.manifest import DISCLOSE_ALL, FILTERS
from smart_audit.tlog.disclosure import DIGESTS_KEY
from smart_audit.tlog.hashing import leaf_hash
from smart_audit.tlog.leaf import Disclosure, LeafError, OpenedLeaf, open_leaf

LEAF_VERSION: Final = 1
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Entry:
    """A leaf that is shown, read together with its disclosures.

    hash: 32 bytes. facts: the leaf's public members. event: what they and the disclosures state.
    disclosed, withheld, unavailable: how many fields are shown, are kept back by choice, and could
    not be read by the exporter.
    """

    hash: bytes
    facts: Mapping[str, Any]
    event: Mapping[str, Any]
    disclosed: int
    withheld: int
    unavailable: int


def read_entry(
    leaf: bytes, disclosures: Sequence[str], withheld: Sequence[str], place: str
) -> Entry:
    """Read a leaf.

    disclosures: encoded. withheld: digests of disclosures that are kept back.

    Raises: EvidenceError for a leaf that no log of ours holds, for disclosures and digests to
    which it does not commit, and for fields that have no place in the event.
    """
    try:
        opened = open_leaf(leaf, disclosures)
        event = _event(opened)
    except LeafError as error:
        raise EvidenceError(place, str(error)) from error
    unopened = _unopened(leaf, disclosures)
    if len(set(withheld)) != len(withheld) or not unopened.issuperset(withheld):
        raise EvidenceError(place, "a digest that is called withheld is not, or is named twice")
    return Entry(
        leaf_hash(leaf),
        opened.facts,
        event,
        disclosed=len(disclosures),
        withheld=len(withheld),
        unavailable=opened.withheld - len(withheld),
    )


def chosen(
    disclosures: Iterable[str], disclose: str | Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Divide disclosures into those to show, encoded, and the digests of the others, sorted.

    disclose: "all", or paths of fields. "actor" chooses all fields below it, and "*" stands for
    any one part: "targets.*.name".

    Raises: LeafError for what is not a disclosure.
    """
    shown: list[str] = []
    withheld: list[str] = []
    paths = [] if isinstance(disclose, str) else [path.split(".") for path in disclose]
    for encoded in disclosures:
        disclosure = Disclosure.parse(encoded)
        name = disclosure.name.split(".")
        if disclose == DISCLOSE_ALL or any(_leads_to(path, name) for path in paths):
            shown.append(encoded)
        else:
            withheld.append(disclosure.digest)
    return tuple(shown), tuple(sorted(withheld))


def require_chosen(
    disclosures: Sequence[str], withheld: Sequence[str], disclose: str | Sequence[str], place: str
) -> None:
    """Verify that the fields that are shown, and no others, are those that were chosen.

    Which fields the digests in `withheld` stand for only the exporter knows.

    Raises: EvidenceError.
    """
    _, others = chosen(disclosures, disclose)
    if others or (withheld and disclose == DISCLOSE_ALL):
        raise EvidenceError(place, "the fields that are shown are not those that were chosen")


def require_match(facts: Mapping[str, Any], filters: Mapping[str, str], place: str) -> None:
    """Verify that an event is one that the filters let through.

    Raises: EvidenceError.
    """
    actor, targets = facts.get("actor"), facts.get("targets", [])
    occurred_at = facts.get("occurred_at")
    time = occurred_at if is_time(occurred_at) else None
    stated = {
        "actor_id": isinstance(actor, dict) and actor.get("id"),
        "action": facts.get("action"),
        "outcome": facts.get("outcome"),
    }
    for name, wanted in filters.items():
        match name:
            case "occurred_from":
                is_match = time is not None and wanted <= time
            case "occurred_before":
                is_match = time is not None and time < wanted
            case "target_id":
                is_match = isinstance(targets, list) and any(
                    isinstance(target, dict) and target.get("id") == wanted for target in targets
                )
            case _:
                is_match = stated.get(name) == wanted
        if not is_match:
            raise EvidenceError(place, f"the event does not match the filter {name}")


def require_filters(filters: Mapping[str, str], place: str) -> None:
    """Verify that filters are ones that `require_match` can apply.

    Raises: EvidenceError.
    """
    for name, value in filters.items():
        if name not in FILTERS or (name.startswith("occurred_") and not is_time(value)):
            raise EvidenceError(place, f"{name} is not a filter with this value")


def time_text(time: datetime) -> str:
    """A time, which has a zone, in the form of the leaves."""
    return f"{time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def _event(opened: OpenedLeaf) -> dict[str, Any]:
    """Raises: LeafError."""
    if opened.facts.get("version") != LEAF_VERSION:
        raise LeafError(f"the leaf's version is not {LEAF_VERSION}")
    event = {name: value for name, value in opened.facts.items() if name != "version"}
    names = sorted(opened.disclosed)
    for name in names:
        if any(other.startswith(f"{name}.") for other in names):
            raise LeafError(f"disclosure {name!r} and another are one within the other")
    for name in names:
        _place(event, name, doubles(opened.disclosed[name]))
    return event


def _place(event: dict[str, Any], name: str, value: Any) -> None:
    """Put a value where its path leads; objects on the way are made, elements of arrays are not.

    Raises: LeafError.
    """
    *way, last = name.split(".")
    holder: Any = event
    for part in way:
        match holder:
            case dict():
                holder = holder.setdefault(part, {})
            case list() if _NUMBER.fullmatch(part) and int(part) < len(holder):
                holder = holder[int(part)]
            case _:
                raise LeafError(f"disclosure {name!r} has no place in the event")
    if not isinstance(holder, dict):
        raise LeafError(f"disclosure {name!r} has no place in the event")
    if last in holder or (not way and last == "version"):
        raise LeafError(f"disclosure {name!r} repeats a fact")
    holder[last] = value


def _unopened(leaf: bytes, disclosures: Sequence[str]) -> set[str]:
    """The digests in a leaf that `open_leaf` has read, without those of the disclosures."""
    digests: set[str] = set(orjson.loads(leaf)[DIGESTS_KEY])
    return digests - {Disclosure.parse(encoded).digest for encoded in disclosures}


def _leads_to(path: Sequence[str], name: Sequence[str]) -> bool:
    pairs = zip(path, name, strict=False)
    return len(path) <= len(name) and all(part in ("*", other) for part, other in pairs)
