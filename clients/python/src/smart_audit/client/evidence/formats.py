"""The members of an evidence bundle, but for the manifest.

Source: docs/evidence.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from smart_audit.client.evidence.lines import (
    EvidenceError,
    are_texts,
    base64,
    is_number,
    line,
    read_line,
    unbase64,
)
from smart_audit.tlog.canonical import CanonicalJsonError
from smart_audit.tlog.hashing import HASH_SIZE
from smart_audit.tlog.tlog_proof import ProofFileError, TlogProof

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


def proof_name(index: int) -> str:
    """The member that proves one event."""
    return f"{PROOFS}{index}.tlog-proof"


def member_names(event_indexes: Sequence[int]) -> list[str]:
    """All members in their order; the events by log index, ascending."""
    proofs = [proof_name(index) for index in event_indexes]
    return [CHECKPOINT, KEYS, RANGE_PROOF, LEAVES, EVENTS, *proofs, SUMMARY, MANIFEST, PAGE]


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
            } if is_number(index) and not rest and are_texts(*disclosures, *withheld):
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
            } if not rest and all(map(is_number, (begin, end, size))) and are_texts(*left, *right):
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
