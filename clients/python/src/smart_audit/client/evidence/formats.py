"""The members of an evidence bundle, and the JSON in them.

All JSON is canonical (RFC 8785): one value has one spelling, so what is checked is what any other
reader sees, and a bundle written again from the same material has the same members.

Source: docs/evidence.md.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson

from smart_audit.tlog.canonical import CanonicalJsonError, canonical_json
from smart_audit.tlog.hashing import HASH_SIZE
from smart_audit.tlog.tlog_proof import ProofFileError, TlogProof

FORMAT: Final = "smart-audit/evidence"
VERSION: Final = 1

CHECKPOINT: Final = "checkpoint.txt"
KEYS: Final = "keys.txt"
RANGE_PROOF: Final = "range-proof.json"
LEAVES: Final = "leaves.jsonl"
EVENTS: Final = "events.jsonl"
PROOFS: Final = "proofs/"
SUMMARY: Final = "summary.txt"
MANIFEST: Final = "manifest.json"
PAGE: Final = "verify.html"

# Where a zip notes the time of a file; the earliest it can note.
ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)

# The names of the filters in their order, and so in the summary.
FILTERS: Final = ("occurred_from", "occurred_before", "actor_id", "action", "target_id", "outcome")

DISCLOSE_ALL: Final = "all"

_MAX_SAFE_INTEGER: Final = 2**53 - 1
_LONG_NUMBER: Final = re.compile(rb"[0-9]{16}")

WHY: Final = {
    "leaves": "outside the filters, or removed by retention; none of their hashes is missing",
    "fields": "the exporter chose not to disclose them; their salted digests stand in the leaf",
    "unavailable": "the exporter could not read them: they were erased, or were not handed out",
}


class EvidenceError(ValueError):
    """Something in a bundle, or to be put into one, that does not hold. place: where."""

    def __init__(self, place: str, why: str) -> None:
        super().__init__(f"{place}: {why}")
        self.place = place
        self.why = why


def proof_name(index: int) -> str:
    """The member that proves one event."""
    return f"{PROOFS}{index}.tlog-proof"


def member_names(event_indexes: Sequence[int]) -> list[str]:
    """All members in their order; the events by log index, ascending."""
    proofs = [proof_name(index) for index in event_indexes]
    return [CHECKPOINT, KEYS, RANGE_PROOF, LEAVES, EVENTS, *proofs, SUMMARY, MANIFEST, PAGE]


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
        if not _are_texts(
            *(content[name] for name in ("origin", "organisation_id", "root", "created_at")),
            *filters.values(),
            *disclose,
            *(one.sha256 for one in members.values()),
        ):
            raise TypeError("a text is not a text")
        if not filters.keys() <= set(FILTERS):
            raise ValueError("a filter is not known")
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


@dataclass(frozen=True, slots=True)
class LeafLine:
    """A line of `leaves.jsonl`: a leaf that is shown, or the hash of one that is withheld.

    disclosures: encoded, those chosen. withheld: the digests of those that the exporter held and
    kept back. Exactly one of leaf and leaf_hash is given.
    """

    index: int
    leaf: bytes | None = None
    disclosures: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    leaf_hash: bytes | None = None

    def encode(self) -> bytes:
        """The line, with its newline."""
        if self.leaf is None:
            return line({"index": self.index, "leaf_hash": base64(self.leaf_hash or b"")})
        return line(
            {
                "index": self.index,
                "leaf": base64(self.leaf),
                "disclosures": self.disclosures,
                "withheld": self.withheld,
            }
        )

    @classmethod
    def parse(cls, data: bytes, place: str) -> Self:
        """Read what `encode` wrote.

        Raises: EvidenceError.
        """
        content = read_line(data, place)
        match content:
            case {"index": index, "leaf_hash": str(encoded), **rest} if (
                is_number(index) and not rest
            ):
                leaf_hash = unbase64(encoded, place)
                if len(leaf_hash) != HASH_SIZE:
                    raise EvidenceError(place, f"the leaf's hash is not {HASH_SIZE} bytes long")
                return cls(index, leaf_hash=leaf_hash)
            case {
                "index": index,
                "leaf": str(encoded),
                "disclosures": list(disclosures),
                "withheld": list(withheld),
                **rest,
            } if is_number(index) and not rest and _are_texts(*disclosures, *withheld):
                leaf = unbase64(encoded, place)
                return cls(index, leaf, tuple(disclosures), tuple(withheld))
        raise EvidenceError(place, "it is not a leaf or a leaf's hash")


@dataclass(frozen=True, slots=True)
class RangeProof:
    """The member `range-proof.json`: what proves the leaves begin <= index < end together.

    left, right: the hashes that `tlog.ranges.range_proof_nodes` names.
    """

    begin: int
    end: int
    size: int
    left: tuple[bytes, ...]
    right: tuple[bytes, ...]

    def encode(self) -> bytes:
        """The member."""
        return line(
            {
                "begin": self.begin,
                "end": self.end,
                "size": self.size,
                "left": [base64(one) for one in self.left],
                "right": [base64(one) for one in self.right],
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read what `encode` wrote.

        Raises: EvidenceError.
        """
        match read_line(data, RANGE_PROOF):
            case {
                "begin": begin,
                "end": end,
                "size": size,
                "left": list(left),
                "right": list(right),
                **rest,
            } if not rest and all(map(is_number, (begin, end, size))) and _are_texts(*left, *right):
                return cls(
                    begin,
                    end,
                    size,
                    tuple(unbase64(one, RANGE_PROOF) for one in left),
                    tuple(unbase64(one, RANGE_PROOF) for one in right),
                )
        raise EvidenceError(RANGE_PROOF, "it is not a range proof")


def event_line(index: int, event: Mapping[str, Any], withheld: int, unavailable: int) -> bytes:
    """A line of `events.jsonl`, with its newline.

    Raises: EvidenceError for an event that has no canonical JSON.
    """
    content = {
        "log_index": index,
        "event": event,
        "withheld": withheld,
        "unavailable": unavailable,
    }
    try:
        return line(content)
    except CanonicalJsonError as error:
        raise EvidenceError(f"index {index}", f"the event is not JSON: {error}") from error


def tlog_proof(index: int, path: Sequence[bytes], note: str) -> bytes:
    """The member that proves one event. Source: C2SP tlog-proof."""
    return TlogProof(index, tuple(path), note).text().encode()


def read_tlog_proof(data: bytes, index: int, note: str) -> TlogProof:
    """Read what `tlog_proof` wrote for the same leaf and checkpoint.

    Raises: EvidenceError.
    """
    try:
        proof = TlogProof.parse(data)
        is_same = tlog_proof(index, proof.path, note) == data
    except ProofFileError as error:
        raise EvidenceError(proof_name(index), str(error)) from error
    if not is_same:
        raise EvidenceError(proof_name(index), "it is not this index's, or not this checkpoint's")
    return proof


def doubles(value: Any) -> Any:
    """The value with integers that no double holds exactly made doubles, as RFC 8785 has them."""
    match value:
        case dict():
            return {name: doubles(one) for name, one in value.items()}
        case list():
            return [doubles(one) for one in value]
        case int() if abs(value) > _MAX_SAFE_INTEGER:
            return float(value)
    return value


def line(value: Mapping[str, Any]) -> bytes:
    """Canonical JSON and a newline. Raises: CanonicalJsonError."""
    return canonical_json(value) + b"\n"


def read_line(data: bytes, place: str) -> dict[str, Any]:
    """The object in what `line` wrote. Raises: EvidenceError."""
    try:
        content = orjson.loads(data)
        if _LONG_NUMBER.search(data):
            content = doubles(content)
        is_canonical = line(content) == data
    except (ValueError, CanonicalJsonError) as error:
        raise EvidenceError(place, f"it is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise EvidenceError(place, "it is not a JSON object")
    if not is_canonical:
        raise EvidenceError(place, "it is not canonical JSON and a newline")
    return content


def base64(data: bytes) -> str:
    """Base64 with padding (RFC 4648, section 4)."""
    return b64encode(data).decode()


def unbase64(encoded: str, place: str) -> bytes:
    """The bytes in the one spelling that `base64` writes. Raises: EvidenceError."""
    try:
        data = b64decode(encoded, validate=True)
    except (Base64Error, ValueError) as error:
        raise EvidenceError(place, f"{encoded[:100]!r} is not base64") from error
    if base64(data) != encoded:
        raise EvidenceError(place, f"{encoded[:100]!r} is not canonical base64")
    return data


def is_number(value: object) -> bool:
    """Whether a JSON value is a whole number from 0. To Python, True and False are numbers too."""
    return type(value) is int and value >= 0


def _are_texts(*values: object) -> bool:
    return all(isinstance(value, str) for value in values)
