"""Verify one event of a log, with nothing but Python's standard library.

    python3 verify_event.py FILE VERIFIER_KEY...

FILE is a proof file (.tlog-proof), or the JSON answer of GetEvent with proof=true or that of
DiscloseEvent. VERIFIER_KEY is the log's key as you noted it earlier or as its operator publishes
it; further keys, of the log or of witnesses, must have signed too.

A check independent of the product: it shares no code with it. Steps and names are those of
docs/log-format.md, "How to verify an event".
"""

import json
import re
import sys
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from decimal import Decimal
from hashlib import sha256, sha512
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

Json = dict[str, Any]
Point = tuple[int, int, int, int]

FIRST_LINE = "c2sp.org/tlog-proof@v1"
MAX_LEAF = 65_535  # bytes
MAX_TARGETS = 64
FACTS = {
    *("version", "id", "organisation_id", "action", "actor", "outcome"),
    *("occurred_at", "recorded_at", "recorded_by"),
}
FURTHER_FACTS = {"targets", "outcome_reason", "source"}
OUTCOMES = ("success", "failure", "denied")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
TARGET_NAME = re.compile(r"targets\.(0|[1-9][0-9]?)\.name")
KEY_NAME = re.compile(r"[^\s+]+")
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
DISCLOSED = {"actor.name", "actor.email", "source_address", "user_agent", "metadata"}

# What ECMAScript writes without an exponent: numbers with so many places before the point, or so
# many zeros behind it (RFC 8785, section 3.2.2.3).
MOST_PLACES, MOST_ZEROS = 21, 6

# Ed25519 (RFC 8032, section 5.1): the field, the order of the base point, the curve's d, sqrt(-1).
P = 2**255 - 19
KEY_BYTES, SIGNATURE_BYTES, TIME_BYTES, KEY_ID_BYTES = 32, 64, 8, 4
LOG_KEY, WITNESS_KEY = b"\x01", b"\x04"
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_MINUS_1 = pow(2, (P - 1) // 4, P)


class Refused(Exception):
    """Something does not hold; the message says what."""


# What Python raises for a file that is none, or that has a value where it cannot be.
UNREADABLE = (
    *(ValueError, LookupError, TypeError, AttributeError),
    *(ArithmeticError, RecursionError),
)


class Proof(NamedTuple):
    """What a file holds: leaf, disclosures, place, path, checkpoint; the event, if it shows it."""

    leaf: bytes
    disclosures: list[str]
    log_index: int
    path: list[bytes]
    note: str
    event: Json | None


class Key(NamedTuple):
    """A verifier key: name, kind (1 byte), public key (32 bytes), key id (4 bytes)."""

    name: str
    kind: bytes
    public: bytes
    id: bytes


def require(holds: object, what: str) -> None:
    """Raises: Refused unless it holds."""
    if not holds:
        raise Refused(what)


def read_file(data: bytes) -> Proof:
    """Take a file apart; nothing is verified yet."""
    text = data.decode()
    if text.startswith(f"{FIRST_LINE}\n"):
        return read_proof_file(text)
    answer = json.loads(text, object_pairs_hook=members)
    proof = answer.get("proof", answer)
    place = proof["inclusion_proof"]
    path = [b64decode(one, validate=True) for one in place["hashes"]]
    found = Proof(
        b64decode(proof["leaf"], validate=True),
        proof["disclosures"],
        int(place["log_index"]),
        path,
        answer["checkpoint"],
        answer["event"],
    )
    if "proof_file" in answer:
        same = read_proof_file(answer["proof_file"])
        require(same._replace(event=found.event) == found, "proof_file holds something else")
    return found


def read_proof_file(text: str) -> Proof:
    """A C2SP tlog-proof, its extra data being the leaf and the disclosures."""
    head, _, note = text.partition("\n\n")
    first, extra, place, *hashes = head.split("\n")
    require(first == FIRST_LINE, "the file is not a proof")
    index = re.fullmatch(r"index (0|[1-9][0-9]{0,19})", place)
    if index is None or not extra.startswith("extra "):
        raise Refused("the proof has no extra data or no index")
    parts = base64_of(extra.removeprefix("extra ")).decode("ascii").split("~")
    require(parts.pop() == "", "the extra data does not end with ~")
    leaf = base64url_of(parts[0])
    path = [base64_of(one) for one in hashes]
    return Proof(leaf, parts[1:], int(index[1]), path, note, None)


def read_leaf(leaf: bytes, disclosures: list[str]) -> tuple[Json, Json]:
    """Steps 1 to 4: (public facts, disclosed values by name)."""
    require(len(leaf) <= MAX_LEAF, "the leaf is too large")
    facts: Json = parsed(leaf)
    require(isinstance(facts, dict) and canonical(facts) == leaf, "the leaf is not canonical JSON")
    require(facts.pop("_sd_alg") == "sha-256", "the leaf's digests are of an unknown kind")
    digests = facts.pop("_sd")
    require(digests == sorted(set(digests)), "the leaf's digests are not in order")
    require_facts(facts)
    names = {f"targets.{place}.name" for place in range(len(facts.get("targets", ())))}
    disclosed: Json = {}
    for disclosure in disclosures:
        digest = urlsafe_b64encode(sha256(disclosure.encode()).digest()).rstrip(b"=").decode()
        require(digest in digests, "a disclosure is not of this leaf, or is given twice")
        digests.remove(digest)
        text = urlsafe_b64decode(disclosure + "=" * (-len(disclosure) % 4))
        content = parsed(text)
        require(isinstance(content, list), "a disclosure is no array")
        salt, name, value = content
        require(canonical(content) == text, "a disclosure is not canonical JSON")
        require(isinstance(salt, str), "a salt is not a text")
        require(name in DISCLOSED | names, f"{name} is no field of this event")
        require(name not in disclosed, f"{name} is given twice")
        kind = dict if name == "metadata" else str
        require(isinstance(value, kind) and value, f"{name} has a value that it cannot have")
        disclosed[name] = value
    return facts, disclosed


def require_facts(facts: Json) -> None:
    """Step 2: a leaf of version 1 has these members, in these forms, and no others."""
    require(facts["version"] == 1 and facts["version"] is not True, "the version is unknown")
    require(facts.keys() <= FACTS | FURTHER_FACTS, "the leaf has a member of no known name")
    require(facts.keys() >= FACTS, "the leaf lacks a member")
    for name in ("id", "organisation_id"):
        require(UUID.fullmatch(facts[name]), f"{name} is not a UUID in lower case")
    for name in ("occurred_at", "recorded_at"):
        require(TIME.fullmatch(facts[name]), f"{name} is not a time in UTC with six digits")
        datetime.fromisoformat(facts[name])
    for name in ("action", "outcome_reason", "source"):
        require(is_text(facts.get(name, "-")), f"{name} is not a text, or is empty")
    require(isinstance(facts["recorded_by"], str), "recorded_by is not a text")
    require(facts["outcome"] in OUTCOMES, "the outcome is unknown")
    require(is_thing(facts["actor"]) and "type" in facts["actor"], "the actor is malformed")
    targets = facts.get("targets", [{"id": "-"}])
    require(isinstance(targets, list) and all(map(is_thing, targets)), "a target is malformed")
    require(0 < len(targets) <= MAX_TARGETS, "there are too many targets, or an empty list of them")


def is_text(value: object) -> bool:
    """Whether it is a text, not empty."""
    return isinstance(value, str) and value != ""


def is_thing(value: object) -> bool:
    """Whether it has an id, perhaps a type, and nothing else."""
    return (
        isinstance(value, dict)
        and {"id"} <= value.keys() <= {"id", "type"}
        and all(map(is_text, value.values()))
    )


def event_of(facts: Json, disclosed: Json, log_index: int) -> Json:
    """Step 5: the event that leaf and disclosures state, as the JSON API shows it."""
    return {
        "id": facts["id"],
        "organisation_id": facts["organisation_id"],
        "action": facts["action"],
        "actor": facts["actor"]
        | {
            "name": disclosed.get("actor.name", ""),
            "email": disclosed.get("actor.email", ""),
        },
        "targets": [
            {
                "id": target["id"],
                "type": target.get("type", ""),
                "name": disclosed.get(f"targets.{place}.name", ""),
                "data_subject": False,
            }
            for place, target in enumerate(facts.get("targets", []))
        ],
        "outcome": f"OUTCOME_{facts['outcome'].upper()}",
        "outcome_reason": facts.get("outcome_reason", ""),
        "occurred_at": time_of(facts["occurred_at"]),
        "source": facts.get("source", ""),
        "source_address": disclosed.get("source_address", ""),
        "user_agent": disclosed.get("user_agent", ""),
        "metadata": disclosed.get("metadata") or {},
        "recorded_at": time_of(facts["recorded_at"]),
        "log_index": str(log_index),
        "recorded_by": facts["recorded_by"],
    }


def shown_event(event: Json) -> Json:
    """The event of an answer in that form. Which fields were erased is said, and not proven."""
    times = {name: time_of(event[name]) for name in ("occurred_at", "recorded_at")}
    shown = event | times | {"metadata": event.get("metadata") or {}}
    shown.pop("erased_fields", None)
    return shown


def time_of(text: str) -> str:
    """A time in one spelling: JSON leaves out zeros at the end of the second's digits."""
    match = re.fullmatch(r"(.{19})(?:\.([0-9]{1,6}))?Z", text)
    if match is None:
        raise Refused(f"{text} is not a time in UTC")
    return f"{match[1]}.{(match[2] or '').ljust(6, '0')}Z"


def root_of(leaf_hash: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Step 6: the root to which the path leads. Source: RFC 9162, section 2.1.3.2."""
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


def open_checkpoint(note: str, verifier_keys: list[str]) -> tuple[str, int, bytes]:
    """Step 7: (origin, size, root) of a note that all keys have signed."""
    text, blank, signatures = note.rpartition("\n\n")
    require(blank and signatures.endswith("\n"), "the note has no signatures")
    require(not CONTROL.search(note), "the note has a control character")
    lines = text.split("\n")
    require(all(lines), "the checkpoint has an empty line")
    text += "\n"
    origin, line, encoded = lines[:3]
    require(re.fullmatch(r"0|[1-9][0-9]{0,19}", line), "the checkpoint's size is not a number")
    root = base64_of(encoded)
    require(len(root) == len(sha256().digest()), "the checkpoint's root is not a hash")
    made = [signature_line(one) for one in signatures.removesuffix("\n").split("\n")]
    keys = [read_key(one) for one in verifier_keys]
    for key in keys:
        require_signed(text, made, key)
    logs = {key.name for key in keys if key.kind == LOG_KEY}
    require(logs == {origin}, "the key is that of another log, or that of a witness alone")
    return origin, int(line), root


def require_signed(text: str, made: list[tuple[str, bytes]], key: Key) -> None:
    """Raises: Refused unless the key has signed the text, and each time well."""
    maker = key.name, key.id
    own = [one for name, one in made if (name, one[:KEY_ID_BYTES]) == maker]
    require(own, f"the checkpoint is not signed by {key.name}")
    for signature in own:
        start, message = KEY_ID_BYTES, text
        if key.kind == WITNESS_KEY:
            start += TIME_BYTES
            seconds = int.from_bytes(signature[KEY_ID_BYTES:start], "big")
            message = f"cosignature/v1\ntime {seconds}\n{text}"
        good = is_signed(key.public, message.encode(), signature[start:])
        require(good, f"the signature of {key.name} is not valid")


def read_key(verifier_key: str) -> Key:
    """Read a verifier key."""
    name, key_id, encoded = verifier_key.split("+", 2)
    data = base64_of(encoded)
    kind, public = data[:1], data[1:]
    require(kind in (LOG_KEY, WITNESS_KEY) and len(public) == KEY_BYTES, "the key is not Ed25519")
    key = Key(name, kind, public, sha256(name.encode() + b"\n" + data).digest()[:KEY_ID_BYTES])
    require(key.id.hex() == key_id, "the key's id is not its own")
    return key


def signature_line(line: str) -> tuple[str, bytes]:
    """(name, key id and signature)."""
    dash, name, encoded = line.split(" ")
    signature = base64_of(encoded)
    known = dash == "\N{EM DASH}" and KEY_NAME.fullmatch(name) and len(signature) > KEY_ID_BYTES
    require(known, "a line below the checkpoint is no signature")
    return name, signature


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


def parsed(data: bytes) -> Any:
    """JSON in which no object names a member twice; each number is a double."""
    return json.loads(
        data.decode(), object_pairs_hook=members, parse_int=float, parse_constant=no_number
    )


def members(pairs: list[tuple[str, Any]]) -> Json:
    """An object's members. Raises: Refused when one comes twice."""
    content = dict(pairs)
    require(len(content) == len(pairs), "an object names a member twice")
    return content


def no_number(text: str) -> NoReturn:
    """Raises: Refused."""
    raise Refused(f"{text} is not JSON")


def canonical(value: Any) -> bytes:
    """Canonical JSON. Source: RFC 8785."""
    return canonical_text(value).encode()


def canonical_text(value: Any) -> str:
    """Canonical JSON as text."""
    match value:
        case dict():
            names = sorted(value, key=lambda name: name.encode("utf-16-be"))
            return f"{{{','.join(f'{quoted(one)}:{canonical_text(value[one])}' for one in names)}}}"
        case list():
            return f"[{','.join(map(canonical_text, value))}]"
        case float():
            return number_text(value)
        case str():
            return quoted(value)
    return json.dumps(value)


def quoted(text: str) -> str:
    """Python escapes what RFC 8785 escapes, in the same way."""
    return json.dumps(text, ensure_ascii=False)


def number_text(value: float) -> str:
    """A double as ECMAScript writes it: the shortest digits that read back as the same."""
    require(isfinite(value), "a number is too large")
    if value == 0:
        return "0"
    _, digits, exponent = Decimal(repr(abs(value))).normalize().as_tuple()
    text, point = "".join(map(str, digits)), len(digits) + int(exponent)
    if len(text) <= point <= MOST_PLACES:
        text = text.ljust(point, "0")
    elif 0 < point <= MOST_PLACES:
        text = f"{text[:point]}.{text[point:]}"
    elif -MOST_ZEROS < point <= 0:
        text = f"0.{'0' * -point}{text}"
    else:
        text = f"{text[0]}{'.' if text[1:] else ''}{text[1:]}e{point - 1:+d}"
    return f"-{text}" if value < 0 else text


def base64_of(text: str) -> bytes:
    """Base64 in its one spelling."""
    data = b64decode(text, validate=True)
    require(b64encode(data).decode() == text, "base64 is not in its one spelling")
    return data


def base64url_of(text: str) -> bytes:
    """Base64url without padding, in its one spelling."""
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    require(urlsafe_b64encode(data).rstrip(b"=").decode() == text, "the leaf is not base64url")
    return data


def verify(data: bytes, verifier_keys: list[str]) -> tuple[Json, Json, str]:
    """All steps: (public facts, disclosed values, what was verified). Raises: Refused."""
    proof = read_file(data)
    facts, disclosed = read_leaf(proof.leaf, proof.disclosures)
    if proof.event is not None:
        stated = event_of(facts, disclosed, proof.log_index)
        shown = json.loads(json.dumps(shown_event(proof.event)), parse_int=float)
        require(canonical(stated) == canonical(shown), "the event is not what its leaf says")
    origin, size, root = open_checkpoint(proof.note, verifier_keys)
    require(origin.endswith("/" + facts["organisation_id"]), "the log is another organisation's")
    leaf_hash = sha256(b"\x00" + proof.leaf).digest()
    computed = root_of(leaf_hash, proof.log_index, size, proof.path)
    require(computed == root, "the path does not lead to the signed root")
    place = f"entry {proof.log_index} of {size} in {origin}"
    return facts, disclosed, f"{facts['action']} is {place}"


def main() -> None:
    """Exit with 1 when something does not hold, with 2 when the file or a key is missing."""
    try:
        path, key, *more = sys.argv[1:]
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        print(f"{error}\n{__doc__}", file=sys.stderr)
        sys.exit(2)
    try:
        print(f"verified: {verify(data, [key, *more])[2]}")
    except Refused as refused:
        sys.exit(f"NOT verified: {refused}")
    except UNREADABLE as error:
        sys.exit(f"NOT verified: the file cannot be read: {error!r}")


if __name__ == "__main__":
    main()
