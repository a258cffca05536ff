"""The manifest of a bundle: what it says about itself.

Source: docs/evidence.md, "The manifest".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from smart_audit.client.evidence.formats import MANIFEST
from smart_audit.client.evidence.lines import (
    EvidenceError,
    are_texts,
    is_number,
    is_time,
    line,
    read_line,
)

FORMAT: Final = "smart-audit/evidence"
VERSION: Final = 1

# The names of the filters in their order, and so in the summary.
FILTERS: Final = ("occurred_from", "occurred_before", "actor_id", "action", "target_id", "outcome")

DISCLOSE_ALL: Final = "all"

WHY: Final = {
    "leaves": "outside the filters, or removed by retention; none of their hashes is missing",
    "fields": "the exporter chose not to disclose them; their salted digests stand in the leaf",
    "unavailable": "the exporter could not read them: they were erased, or were not handed out",
}


@dataclass(frozen=True, slots=True)
class Member:
    """What the manifest says of a member. sha256: hexadecimal; size: bytes.

    Of the page both mean the page with an empty data block, as the page holds the manifest.
    """

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How much a bundle shows and withholds.

    events: leaves that are shown, withheld_leaves: those of which only the hash is; of the shown
    ones disclosed, withheld and unavailable count the fields that are kept as disclosures.
    """

    events: int
    withheld_leaves: int
    disclosed: int
    withheld: int
    unavailable: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says about itself.

    root: base64. begin, end: the range of log indexes, end excluded. filters: those that were
    used, by name. disclose: "all", or the paths of the fields to disclose. created_at: UTC, by
    the exporter's clock. members: by name, in their order.
    """

    origin: str
    organisation_id: str
    size: int
    root: str
    begin: int
    end: int
    filters: Mapping[str, str]
    disclose: str | Sequence[str]
    created_at: str
    counts: Counts
    members: Mapping[str, Member]

    def encode(self) -> bytes:
        """The member `manifest.json`."""
        counts = self.counts
        return line(
            {
                "format": FORMAT,
                "version": VERSION,
                "origin": self.origin,
                "organisation_id": self.organisation_id,
                "size": self.size,
                "root": self.root,
                "begin": self.begin,
                "end": self.end,
                "filters": dict(self.filters),
                "disclose": self.disclose,
                "created_at": self.created_at,
                "events": counts.events,
                "disclosed": counts.disclosed,
                "withheld": {
                    name: {"count": count, "why": WHY[name]}
                    for name, count in (
                        ("leaves", counts.withheld_leaves),
                        ("fields", counts.withheld),
                        ("unavailable", counts.unavailable),
                    )
                },
                "members": {
                    name: {"sha256": member.sha256, "size": member.size}
                    for name, member in self.members.items()
                },
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read what `encode` wrote.

        Raises: EvidenceError.
        """
        content = read_line(data, MANIFEST)
        if (content.get("format"), content.get("version")) != (FORMAT, VERSION):
            raise EvidenceError(MANIFEST, f"it is not {FORMAT} of version {VERSION}")
        try:
            manifest = cls._of(content)
            is_whole = manifest.encode() == data
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise EvidenceError(MANIFEST, f"it is not a manifest: {error!r}") from error
        if not is_whole:
            raise EvidenceError(MANIFEST, "it has members that no manifest has, or other values")
        return manifest

    @classmethod
    def _of(cls, content: dict[str, Any]) -> Self:
        withheld = content["withheld"]
        numbers = (
            content["events"],
            withheld["leaves"]["count"],
            content["disclosed"],
            withheld["fields"]["count"],
            withheld["unavailable"]["count"],
        )
        begin, end, size = content["begin"], content["end"], content["size"]
        filters, disclose = content["filters"], content["disclose"]
        members = {
            name: Member(one["sha256"], one["size"]) for name, one in content["members"].items()
        }
        sizes = [one.size for one in members.values()]
        if not all(map(is_number, (*numbers, begin, end, size, *sizes))):
            raise TypeError("a number is not a whole number from 0")
        if not are_texts(
            *(content[name] for name in ("origin", "organisation_id", "root", "created_at")),
            *filters.values(),
            *disclose,
            *(one.sha256 for one in members.values()),
        ):
            raise TypeError("a text is not a text")
        if not filters.keys() <= set(FILTERS):
            raise ValueError("a filter is not known")
        if not is_time(content["created_at"]):
            raise ValueError("created_at is not a time")
        if disclose != DISCLOSE_ALL and not isinstance(disclose, list):
            raise ValueError("what to disclose is neither all nor a list")
        return cls(
            content["origin"],
            content["organisation_id"],
            size,
            content["root"],
            begin,
            end,
            filters,
            disclose,
            content["created_at"],
            Counts(*numbers),
            members,
        )
