"""The leaf of an event: what the log commits to.

Canonical JSON of the public facts, with two more members:

    "_sd"      the digests of the event's disclosures, sorted; possibly none
    "_sd_alg"  "sha-256"

The facts stay readable in the log for ever; what a disclosure holds does not have to.

Source: RFC 9901, sections 4.1.1, 4.2.4.1 and 7.1, for a flat object; RFC 8785.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from smart_audit.tlog.canonical import CanonicalJsonError, canonical_json
from smart_audit.tlog.disclosure import (
    ALGORITHM_KEY,
    DIGEST_ALGORITHM,
    DIGESTS_KEY,
    RESERVED_NAMES,
    Disclosure,
    LeafError,
    new_disclosure,
    read_disclosures,
)

__all__ = [
    "MAX_LEAF_SIZE",
    "CanonicalJsonError",
    "Disclosure",
    "LeafError",
    "LeafTooLarge",
    "OpenedLeaf",
    "build_leaf",
    "canonical_json",
    "encode_leaf",
    "new_disclosure",
    "open_leaf",
]

# bytes; an entry bundle (C2SP tlog-tiles) gives an entry's length in 16 bits.
MAX_LEAF_SIZE: Final = 0xFFFF


class LeafTooLarge(LeafError):
    """A leaf of more than MAX_LEAF_SIZE bytes, which no entry bundle can carry."""


class OpenedLeaf(NamedTuple):
    """A leaf, read together with some of its disclosures.

    facts: the public members, without "_sd" and "_sd_alg".
    disclosed: value by name. withheld: how many digests have no disclosure here.
    """

    facts: dict[str, Any]
    disclosed: dict[str, Any]
    withheld: int


def build_leaf(facts: Mapping[str, Any], disclosures: Sequence[Disclosure]) -> bytes:
    """Encode a leaf, at most 65,535 bytes.

    Raises: LeafTooLarge; LeafError when a name is reserved, or given twice among facts and
    disclosures; CanonicalJsonError for facts that are not JSON.
    """
    # One set operation for the usual case; which name it is matters only to the message.
    names = {disclosure.name for disclosure in disclosures}
    if len(names) != len(disclosures) or not names.isdisjoint(facts):
        raise LeafError(f"fact {_repeated_name(facts, disclosures)!r} is given twice")
    if not RESERVED_NAMES.isdisjoint(facts):
        raise LeafError(f"a fact cannot be named {min(RESERVED_NAMES & facts.keys())!r}")
    digests = sorted([disclosure.digest for disclosure in disclosures])
    return _fitting(
        canonical_json({**facts, DIGESTS_KEY: digests, ALGORITHM_KEY: DIGEST_ALGORITHM})
    )


def encode_leaf(facts: dict[str, Any], digests: Iterable[str]) -> bytes:
    """What `build_leaf` encodes, without its checks; `facts` gets the two further members.

    For facts whose names are ASCII, differ from those of the disclosures and are not reserved, and
    whose values are texts, integers, and lists and objects of these: orjson's form is then the
    canonical one.

    Raises: LeafTooLarge; CanonicalJsonError for what is not JSON.
    """
    facts[DIGESTS_KEY] = sorted(digests)
    facts[ALGORITHM_KEY] = DIGEST_ALGORITHM
    try:
        return _fitting(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS))
    except orjson.JSONEncodeError as error:
        raise CanonicalJsonError(str(error)) from error


def _fitting(leaf: bytes) -> bytes:
    """Raises: LeafTooLarge."""
    if len(leaf) > MAX_LEAF_SIZE:
        raise LeafTooLarge(f"the leaf has {len(leaf)} bytes, more than {MAX_LEAF_SIZE}")
    return leaf


def open_leaf(leaf: bytes, disclosures: Iterable[str]) -> OpenedLeaf:
    """Read a leaf and check the disclosures, as encoded text, against it.

    That the leaf itself is in the log is for `proofs.verify_inclusion` to say.

    Raises: LeafError for a leaf that `build_leaf` would not write, and, naming it, for a
    disclosure that the leaf does not commit to or that is given twice.
    """
    facts = _parse_leaf(leaf)
    digests = facts.pop(DIGESTS_KEY)
    del facts[ALGORITHM_KEY]
    unopened = set(digests)
    disclosed: dict[str, Any] = {}
    for name, value, digest in read_disclosures(list(disclosures)):
        if digest not in unopened:
            given = "given twice" if digest in digests else "not of this leaf"
            raise LeafError(f"disclosure {name!r} is {given}")
        if name in facts or name in disclosed:
            raise LeafError(f"disclosure {name!r} repeats a fact")
        unopened.remove(digest)
        disclosed[name] = value
    return OpenedLeaf(facts, disclosed, withheld=len(unopened))


def _parse_leaf(leaf: bytes) -> dict[str, Any]:
    _fitting(leaf)
    try:
        facts = orjson.loads(leaf)
        # Two members of one name would let two readers see two different events.
        canonical = canonical_json(facts) == leaf
    except ValueError as error:
        raise LeafError(f"the leaf is not JSON: {error}") from error
    if not isinstance(facts, dict) or not canonical:
        raise LeafError("the leaf is not an object in canonical JSON")
    if facts.get(ALGORITHM_KEY) != DIGEST_ALGORITHM:
        raise LeafError(f"{ALGORITHM_KEY} is not {DIGEST_ALGORITHM!r}")
    digests = facts.get(DIGESTS_KEY)
    if not isinstance(digests, list) or not all(isinstance(digest, str) for digest in digests):
        raise LeafError(f"{DIGESTS_KEY} is not a list of strings")
    if digests != sorted(set(digests)):
        raise LeafError(f"{DIGESTS_KEY} is not sorted or repeats a digest")
    if "..." in facts:
        raise LeafError("a fact cannot be named '...'")
    return facts


def _repeated_name(facts: Mapping[str, Any], disclosures: Sequence[Disclosure]) -> str:
    names = [*facts, *(disclosure.name for disclosure in disclosures)]
    return next(name for name, count in Counter(names).items() if count > 1)
