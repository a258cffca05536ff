"""The vector of the tree itself: roots, an inclusion proof, a consistency proof, a checkpoint."""

from typing import Any

from tests.tlog import reference
from tests.vectors.build import log_key, private_key
from tests.vectors.good import EVERYTHING


def tree() -> dict[str, Any]:
    """Hashes in hexadecimal; entries as text."""
    entries = EVERYTHING.entries
    return {
        "comment": "roots[n] is the root of the first n entries.",
        "entries": [entry.decode() for entry in entries],
        "roots": [reference.mth(entries[:size]).hex() for size in range(len(entries) + 1)],
        "inclusion_of_2_in_7": [one.hex() for one in reference.path(2, entries)],
        "consistency_of_3_and_7": [one.hex() for one in reference.proof(3, entries)],
        "consistency_of_4_and_7": [one.hex() for one in reference.proof(4, entries)],
        "private_key": private_key(1).private_bytes_raw().hex(),
        "verifier_key": log_key(),
        "checkpoint": EVERYTHING.note(),
    }
