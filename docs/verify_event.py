"""Verify one event of a log, with nothing but Python's standard library.

    python3 verify_event.py event.json proof.json checkpoint.json [VERIFIER_KEY]

The files hold the JSON answers of GetEvent, GetInclusionProof and GetCheckpoint. VERIFIER_KEY is
the log's key as you noted it earlier; without it the key in checkpoint.json is believed, which
proves only that the three answers fit together.

A check independent of the product: it shares no code with it. Steps and names are those of
docs/log-format.md, "How to verify an event".
"""

import json
import sys
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any

Json = dict[str, Any]
Point = tuple[int, int, int, int]

# Ed25519 (RFC 8032, section 5.1): the field, the order of the base point, the curve's d, sqrt(-1).
P = 2**255 - 19
KEY_BYTES, SIGNATURE_BYTES = 32, 64
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_MINUS_1 = pow(2, (P - 1) // 4, P)


class Refused(Exception):
    """Something does not hold; the message says what."""


def require(holds: object, what: str) -> None:
    """Raises: Refused unless it holds."""
    if not holds:
        raise Refused(what)


def read_leaf(leaf: bytes, disclosures: list[str]) -> tuple[Json, Json]:
    """Steps 1 to 3: (public facts, disclosed values by name)."""
    facts: Json = json.loads(leaf)
    again = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    require(again.encode() == leaf, "the leaf is not canonical JSON")
    require(facts["version"] == 1, "the leaf is of an unknown version")
    require(facts.pop("_sd_alg") == "sha-256", "the leaf's digests are of an unknown kind")
    digests = facts.pop("_sd")
    require(digests == sorted(set(digests)), "the leaf's digests are not in order")
    disclosed: Json = {}
    for disclosure in disclosures:
        digest = urlsafe_b64encode(sha256(disclosure.encode()).digest()).rstrip(b"=").decode()
        require(digest in digests, "a disclosure is not of this leaf, or is given twice")
        digests.remove(digest)
        _, name, value = json.loads(urlsafe_b64decode(disclosure + "=" * (-len(disclosure) % 4)))
        require(name not in disclosed and name not in facts, f"{name} is given twice")
        disclosed[name] = value
    return facts, disclosed


def event_of(facts: Json, disclosed: Json, log_index: str) -> Json:
    """Step 4: the event that leaf and disclosures state."""
    targets = facts.get("targets", [])
    names = disclosed.get("target_names") or [""] * len(targets)
    return {
        "id": facts["id"],
        "organisation_id": facts["organisation_id"],
        "action": facts["action"],
        "actor": facts["actor"]
        | {
            "name": disclosed.get("actor_name", ""),
            "email": disclosed.get("actor_email", ""),
        },
        "targets": [
            {"id": target["id"], "type": target.get("type", ""), "name": name}
            for target, name in zip(targets, names, strict=True)
        ],
        "outcome": f"OUTCOME_{facts['outcome'].upper()}",
        "outcome_reason": facts.get("outcome_reason", ""),
        "occurred_at": datetime.fromisoformat(facts["occurred_at"]),
        "source": facts.get("source", ""),
        "source_address": disclosed.get("source_address", ""),
        "user_agent": disclosed.get("user_agent", ""),
        "metadata": disclosed.get("metadata") or {},
        "recorded_at": datetime.fromisoformat(facts["recorded_at"]),
        "log_index": log_index,
    }


def root_of(leaf_hash: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Step 5: the root to which the path leads. Source: RFC 9162, section 2.1.3.2."""
    require(0 <= index < size, "the leaf is not in the tree")
    node, last, computed = index, size - 1, leaf_hash
    for sibling in path:
        require(last > 0, "the path is too long")
        if node % 2 or node == last:
            computed = sha256(b"\x01" + sibling + computed).digest()
            while node % 2 == 0 and node:
                node, last = node >> 1, last >> 1
        else:
            computed = sha256(b"\x01" + computed + sibling).digest()
        node, last = node >> 1, last >> 1
    require(last == 0, "the path is too short")
    return computed


def open_checkpoint(note: str, verifier_key: str) -> tuple[str, int, bytes]:
    """Step 6: (origin, size, root) of a note that the key has signed."""
    name, key_id, encoded = verifier_key.split("+", 2)
    key = b64decode(encoded)
    require(key[:1] == b"\x01" and len(key) == 1 + KEY_BYTES, "the key is not an Ed25519 key")
    computed_id = sha256(name.encode() + b"\n" + key).digest()[:4]
    require(computed_id.hex() == key_id, "the key's id is not its own")
    text, blank, signatures = note.rpartition("\n\n")
    require(blank, "the note has no signatures")
    text += "\n"
    found = False
    for line in signatures.splitlines():
        dash, signer, signature = line.split(" ")
        raw = b64decode(signature)
        if (dash, signer, raw[:4]) == ("\N{EM DASH}", name, computed_id):
            require(is_signed(key[1:], text.encode(), raw[4:]), "the signature is not valid")
            found = True
    require(found, "the note is not signed by this key")
    origin, size, root = text.split("\n")[:3]
    require(origin == name, "the key is that of another log")
    return origin, int(size), b64decode(root)


def is_signed(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Source: RFC 8032, section 5.1.7."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    a, r = decoded(public_key), decoded(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= ORDER:
        return False
    k = int.from_bytes(sha512(signature[:32] + public_key + message).digest(), "little")
    left, right = multiplied(s, BASE), added(r, multiplied(k % ORDER, a))
    x1, y1, z1, _ = left
    x2, y2, z2, _ = right
    return (x1 * z2 - x2 * z1) % P == 0 and (y1 * z2 - y2 * z1) % P == 0


def added(one: Point, other: Point) -> Point:
    """Source: RFC 8032, section 5.1.4."""
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = other
    a, b = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    c, d = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiplied(factor: int, point: Point) -> Point:
    """The sum of `factor` times the point."""
    total: Point = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            total = added(total, point)
        point, factor = added(point, point), factor >> 1
    return total


def decoded(data: bytes) -> Point | None:
    """The point that 32 bytes name. Source: RFC 8032, section 5.1.3."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * SQRT_MINUS_1 % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE = decoded((4 * pow(5, -1, P) % P).to_bytes(32, "little")) or (0, 1, 1, 0)


def shown_event(event: Json) -> Json:
    """The event of the answer, its times as times: JSON leaves out zeros at their end."""
    times = {name: datetime.fromisoformat(event[name]) for name in ("occurred_at", "recorded_at")}
    return event | times | {"metadata": event.get("metadata") or {}}


def verify(event: Json, proof: Json, checkpoint: Json, verifier_key: str) -> str:
    """Verify and say what was verified. Raises: Refused."""
    leaf = b64decode(event["leaf"])
    facts, disclosed = read_leaf(leaf, event["disclosures"])
    path = proof["proof"]
    stated = event_of(facts, disclosed, path["log_index"])
    require(stated == shown_event(event["event"]), "the event is not what its leaf says")
    origin, size, root = open_checkpoint(checkpoint["note"], verifier_key)
    require(origin.endswith("/" + facts["organisation_id"]), "the log is another organisation's")
    hashes = [b64decode(one) for one in path["hashes"]]
    leaf_hash = sha256(b"\x00" + leaf).digest()
    computed = root_of(leaf_hash, int(path["log_index"]), size, hashes)
    require(computed == root, "the path does not lead to the signed root")
    return f"verified: {facts['action']} is entry {path['log_index']} of {size} in {origin}"


def main() -> None:
    """Read the files; exit with 1 when something does not hold, with 2 when a file is missing."""
    try:
        event, proof, checkpoint = (json.loads(Path(name).read_text()) for name in sys.argv[1:4])
        (verifier_key,) = sys.argv[4:] or [checkpoint["verifier_key"]]
    except (OSError, ValueError, KeyError) as error:
        print(f"{error}\n{__doc__}", file=sys.stderr)
        sys.exit(2)
    try:
        print(verify(event, proof, checkpoint, verifier_key))
    except Refused as refused:
        sys.exit(f"NOT verified: {refused}")
    except (ValueError, KeyError, TypeError) as error:
        sys.exit(f"NOT verified: an answer cannot be read: {error!r}")


if __name__ == "__main__":
    main()
