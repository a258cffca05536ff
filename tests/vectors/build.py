"""Building vectors out of nothing but fixed salts, fixed keys and the format's own words.

Leaves and disclosures are put together here by the letter of docs/log-format.md, and not by the
service: a test holds the two together.
"""

import json
from base64 import b64encode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smart_audit.tlog.checkpoint import Checkpoint
from smart_audit.tlog.cosignature import Cosigner
from smart_audit.tlog.note import Signer, sign, verifier_key
from tests.tlog import reference

ORGANISATION = "01890a5d-ac96-774b-bcce-b302099a8057"
EVENT_ID = "01890a5d-ac96-7ab2-80e2-4536629c90de"
ORIGIN = f"log.example.com/{ORGANISATION}"
RECORDED_AT = "2026-02-03T04:05:06.800000Z"
RECORDED_BY = "01890a5d-ac96-7000-8000-00000000000a"
INDEX = 2
COSIGNED_AT = 1_770_091_507


def private_key(number: int) -> Ed25519PrivateKey:
    """A key that everybody knows: 32 bytes of this value."""
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def log_key(number: int = 1, origin: str = ORIGIN) -> str:
    """The verifier key of a log."""
    return verifier_key(origin, private_key(number).public_key())


WITNESS = Cosigner("witness.example.org/w1", private_key(9))


def base64url(data: bytes) -> str:
    """Base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def salt(number: int) -> str:
    """A salt: 16 bytes of this value."""
    return base64url(bytes([number]) * 16)


def disclosure(name: str, value: Any, number: int) -> str:
    """A disclosure under a fixed salt."""
    return base64url(rfc8785.dumps([salt(number), name, value]))


def digest(encoded: str) -> str:
    """How a leaf commits to a disclosure."""
    return base64url(sha256(encoded.encode()).digest())


@dataclass
class Made:
    """A leaf with its disclosures, to be proven, or spoiled first.

    facts: the public members without "_sd"; fields: disclosed values by name, in their order.
    """

    facts: dict[str, Any]
    fields: dict[str, Any] = field(default_factory=dict)
    index: int = INDEX
    origin: str = ORIGIN
    spoilt_leaf: bytes | None = None

    @property
    def disclosures(self) -> list[str]:
        """All disclosures."""
        named = enumerate(self.fields.items())
        return [disclosure(name, value, number) for number, (name, value) in named]

    @property
    def leaf(self) -> bytes:
        """The leaf."""
        if self.spoilt_leaf is not None:
            return self.spoilt_leaf
        digests = sorted(map(digest, self.disclosures))
        return rfc8785.dumps({**self.facts, "_sd": digests, "_sd_alg": "sha-256"})

    @property
    def leaf_hash(self) -> bytes:
        """32 bytes."""
        return sha256(b"\0" + self.leaf).digest()

    @property
    def entries(self) -> list[bytes]:
        """The log of seven entries in which the leaf stands."""
        words = ("", "one", "two", "three", "four", "five", "six")
        entries = [word.encode() for word in words]
        entries[self.index] = self.leaf
        return entries

    @property
    def path(self) -> list[bytes]:
        """The leaf's inclusion proof."""
        path: list[bytes] = reference.path(self.index, self.entries)
        return path

    def note(self, *keys: int, cosigned: bool = False) -> str:
        """The checkpoint, signed by these keys."""
        checkpoint = Checkpoint(self.origin, 7, reference.mth(self.entries))
        signers = [Signer(self.origin, private_key(key)) for key in keys or (1,)]
        note: str = sign(checkpoint.text(), *signers).serialise()
        return note + (WITNESS.cosign(checkpoint, COSIGNED_AT).line() if cosigned else "")

    def extra(self, shown: list[str] | None = None) -> str:
        """The extra data of a proof file."""
        parts = (base64url(self.leaf), *(self.disclosures if shown is None else shown))
        return "".join(f"{part}~" for part in parts)

    def file(self, shown: list[str] | None = None, note: str | None = None) -> str:
        """The proof file; `shown` disclosures instead of all."""
        return proof_file(self.extra(shown), self.index, self.path, note or self.note())

    def answer(self, event: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """The JSON answer of GetEvent with proof=true."""
        return {
            "event": event,
            "leaf": b64encode(self.leaf).decode(),
            "leaf_hash": b64encode(self.leaf_hash).decode(),
            "disclosures": self.disclosures,
            "inclusion_proof": self.proof(),
            "checkpoint": self.note(),
        } | changes

    def proof(self) -> dict[str, Any]:
        """The JSON of the inclusion proof."""
        return {
            "log_index": str(self.index),
            "tree_size": "7",
            "leaf_hash": b64encode(self.leaf_hash).decode(),
            "hashes": [b64encode(one).decode() for one in self.path],
            "root_hash": b64encode(reference.mth(self.entries)).decode(),
        }


def proof_file(extra: str, index: int, path: list[bytes], note: str) -> str:
    """A C2SP tlog-proof."""
    lines = [
        "c2sp.org/tlog-proof@v1",
        f"extra {b64encode(extra.encode()).decode()}",
        f"index {index}",
        *(b64encode(one).decode() for one in path),
        "",
        "",
    ]
    return "\n".join(lines) + note


def made(fields: dict[str, Any] | None = None, /, **facts: Any) -> Made:
    """A leaf with the members that each leaf has, and these."""
    usual = {
        "version": 1,
        "id": EVENT_ID,
        "organisation_id": ORGANISATION,
        "action": "document.share",
        "actor": {"id": "u_17", "type": "user"},
        "outcome": "success",
        "occurred_at": "2026-02-03T04:05:06.000007Z",
        "recorded_at": RECORDED_AT,
        "recorded_by": RECORDED_BY,
    }
    return Made(
        {name: one for name, one in (usual | facts).items() if one is not None}, fields or {}
    )


def text_of(vector: Any) -> str:
    """A vector as a file: ASCII, so that no editor changes it."""
    return json.dumps(vector, indent=2) + "\n"
