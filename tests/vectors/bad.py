"""Vectors that must be refused, each for one reason."""

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import rfc8785

from smart_audit.tlog.checkpoint import Checkpoint
from smart_audit.tlog.cosignature import Cosigner
from smart_audit.tlog.note import Signer, sign
from tests.vectors.build import (
    COSIGNED_AT,
    WITNESS,
    base64url,
    digest,
    disclosure,
    log_key,
    made,
    private_key,
    proof_file,
    salt,
)
from tests.vectors.good import EVERYTHING, MAX_LEAF, disclosed_answer, event

Vector = dict[str, Any]
Refused = tuple[str, Vector]
OTHER_ORGANISATION = "01890a5d-ac96-774b-bcce-b302099a8058"


def bad() -> dict[str, Vector]:
    """By name."""
    found: list[Refused] = [
        *_leaves(),
        *_disclosures(),
        *_proofs(),
        *_checkpoints(),
        *_answers(),
        *_forms_of_disclosures(),
    ]
    return {f"{number}-{name}": vector for number, (name, vector) in enumerate(found, start=50)}


def _leaves() -> list[Refused]:
    leaf = made().leaf
    sorted_digests = sorted(map(digest, EVERYTHING.disclosures))

    def spoilt(because: str, changed: bytes, fields: dict[str, Any] | None = None) -> Vector:
        if changed == leaf:
            raise ValueError(because)
        one = made(fields)
        one.spoilt_leaf = changed
        return _refused(because, one.file())

    def with_facts(because: str, **changes: Any) -> Vector:
        one = made()
        one.facts |= changes
        return _refused(because, one.file())

    def with_digests(because: str, digests: list[str]) -> Vector:
        whole = {**EVERYTHING.facts, "_sd": digests, "_sd_alg": "sha-256"}
        return spoilt(because, rfc8785.dumps(whole), EVERYTHING.fields)

    too_large = made(targets=[{"id": "\u00e9" * 500, "type": "t" * 128} for _ in range(64)])
    if len(too_large.leaf) <= MAX_LEAF:
        raise ValueError("the leaf is not too large")
    return [
        ("leaf-with-a-space", spoilt("a space behind a colon", leaf.replace(b'":', b'": ', 1))),
        ("leaf-with-a-newline", spoilt("a newline at the end", leaf + b"\n")),
        ("leaf-out-of-order", spoilt("_sd_alg stands before _sd", _swapped(leaf))),
        (
            "leaf-with-a-member-twice",
            spoilt("action is given twice", leaf.replace(b'"action"', b'"action":"a","action"')),
        ),
        ("leaf-with-a-fraction", spoilt("1.0 is 1", leaf.replace(b'ion":1}', b'ion":1.0}'))),
        (
            "leaf-with-an-escape",
            spoilt("\\u0064 is d", leaf.replace(b"document", b"\\u0064ocument")),
        ),
        ("leaf-that-is-cut-off", spoilt("it ends too early", leaf[:-1])),
        ("leaf-that-is-not-utf-8", spoilt("not UTF-8", leaf.replace(b"u_17", b"u_\xff\xff"))),
        ("leaf-that-is-an-array", spoilt("no object", b"[" + leaf + b"]")),
        ("leaf-of-65536-bytes", _refused("more than 65,535 bytes", too_large.file())),
        ("version-2", with_facts("of another version", version=2)),
        ("version-true", with_facts("true is not 1", version=True)),
        ("unknown-member", with_facts("version 1 has no such member", colour="red")),
        ("member-missing", _refused("recorded_by is missing", made(recorded_by=None).file())),
        ("uuid-in-upper-case", with_facts("a UUID in upper case", id=made().facts["id"].upper())),
        (
            "time-without-digits",
            with_facts("a time without six digits", occurred_at="2026-02-03T04:05:06Z"),
        ),
        ("time-that-is-none", with_facts("no such day", occurred_at="2026-02-30T04:05:06.000000Z")),
        ("outcome-unknown", with_facts("no such outcome", outcome="perhaps")),
        ("targets-empty", with_facts("an empty list is left out", targets=[])),
        ("target-with-a-name", with_facts("a name is public", targets=[{"id": "d", "name": "n"}])),
        ("reason-empty", with_facts("an empty fact is left out", outcome_reason="")),
        ("actor-without-a-type", with_facts("no type", actor={"id": "u_17"})),
        ("digests-unsorted", with_digests("digests out of order", sorted_digests[::-1])),
        (
            "digest-twice",
            with_digests("a digest is given twice", sorted([*sorted_digests, sorted_digests[0]])),
        ),
        (
            "digests-of-another-kind",
            spoilt("no SHA-256", leaf.replace(b'"sha-256"', b'"sha-512"')),
        ),
    ]


def _disclosures() -> list[Refused]:
    first = EVERYTHING.disclosures[0]
    foreign = disclosure("actor.name", "Eve", 77)

    return [
        ("disclosure-of-another-leaf", _refused("foreign", EVERYTHING.file([first, foreign]))),
        ("disclosure-twice", _refused("given twice", EVERYTHING.file([first, first]))),
        (
            "disclosure-changed",
            _refused("another value under the same salt", _with_value("Eve")),
        ),
        ("disclosure-padded", _refused("with padding", EVERYTHING.file([f"{first}="]))),
        ("name-twice", _opened("one name, two values", ("actor.name", "A"), ("actor.name", "B"))),
        ("name-of-a-fact", _opened("repeats a public fact", ("action", "other"))),
        ("name-unknown", _opened("no such field", ("actor.phone", "1"))),
        ("name-of-no-target", _opened("there is no such target", ("targets.0.name", "A"))),
        ("name-of-a-reserved-kind", _opened("reserved", ("_sd", ["A"]))),
        ("value-of-another-kind", _opened("a name is a text", ("actor.name", 17))),
        ("value-empty", _opened("an empty field is left out", ("user_agent", ""))),
        ("metadata-no-object", _opened("metadata is an object", ("metadata", [1]))),
        (
            "metadata-with-a-member-twice",
            _opened("two readers, two values", raw=_raw('"metadata",{"a":1,"a":2}')),
        ),
        ("metadata-with-a-space", _opened("not canonical", raw=_raw('"metadata",{"a": 1}'))),
        ("metadata-with-a-fraction", _opened("1.0 is 1", raw=_raw('"metadata",{"a":1.0}'))),
        (
            "metadata-beyond-doubles",
            _opened("no double is this number", raw=_raw('"metadata",{"a":9007199254740993}')),
        ),
        ("metadata-with-nan", _opened("NaN is not JSON", raw=_raw('"metadata",{"a":NaN}'))),
        ("disclosure-of-four", _opened("four elements", raw=_raw('"metadata",{"a":1},1'))),
    ]


def _forms_of_disclosures() -> list[Refused]:
    return [
        ("disclosure-that-is-an-object", _opened("no array", raw=b'{"a":1,"user_agent":1,"x":1}')),
        ("salt-that-is-no-text", _opened("the salt is 1", raw=b'[1,"user_agent","x"]')),
        ("disclosure-of-two", _opened("no salt", raw=b'["user_agent","x"]')),
        ("metadata-unsorted", _opened("b before a", raw=_raw('"metadata",{"b":1,"a":2}'))),
        (
            "metadata-sorted-by-code-points",
            # U+E000, and U+1F600, which begins with the UTF-16 unit D83D.
            _opened("UTF-16", raw=_raw('"metadata",{"\ue000":1,"\U0001f600":2}')),
        ),
        ("metadata-with-an-escape", _opened("\\u0061 is a", raw=_raw('"metadata",{"\\u0061":1}'))),
        ("metadata-with-minus-zero", _opened("-0 is 0", raw=_raw('"metadata",{"a":-0}'))),
        ("metadata-with-an-exponent", _opened("1e2 is 100", raw=_raw('"metadata",{"a":1e2}'))),
        ("metadata-too-precise", _opened("a zero too many", raw=_raw('"metadata",{"a":0.10}'))),
        ("metadata-too-large", _opened("beyond all doubles", raw=_raw('"metadata",{"a":1e400}'))),
        (
            "value-with-half-a-character",
            _opened("a lone surrogate", raw=_raw('"user_agent","\\ud83d"')),
        ),
    ]


def _proofs() -> list[Refused]:
    one = EVERYTHING
    extra, path, note = one.extra(), one.path, one.note()
    flipped = [bytes([path[0][0] ^ 1]) + path[0][1:], *path[1:]]
    proof = proof_file(extra, one.index, path, note)
    return [
        ("path-changed", _refused("one bit", proof_file(extra, one.index, flipped, note))),
        ("path-too-short", _refused("a hash lacks", proof_file(extra, one.index, path[:-1], note))),
        (
            "path-too-long",
            _refused("a hash too many", proof_file(extra, one.index, [*path, path[0]], note)),
        ),
        ("index-of-another", _refused("it is entry 2", proof_file(extra, 3, path, note))),
        ("index-beyond", _refused("there are 7 entries", proof_file(extra, 9, path, note))),
        (
            "leaf-of-another-log",
            _refused(
                "the organisation of another log", made(organisation_id=OTHER_ORGANISATION).file()
            ),
        ),
        ("extra-missing", _refused("no leaf", _without_extra(proof))),
        ("extra-without-end", _refused("no ~", proof_file(extra[:-1], one.index, path, note))),
        (
            "index-with-a-zero",
            _refused("one number, one spelling", proof.replace("\nindex 2\n", "\nindex 02\n")),
        ),
        ("another-format", _refused("version 2", proof.replace("proof@v1", "proof@v2"))),
    ]


def _checkpoints() -> list[Refused]:
    one = EVERYTHING
    note = one.note()
    witness = WITNESS.verifier.verifier_key
    both = [log_key(), witness]

    def signed(because: str, changed: str, keys: list[str] | None = None) -> Vector:
        if changed == note and keys is None:
            raise ValueError(because)
        return _refused(because, one.file(note=changed), keys)

    stranger = Cosigner(WITNESS.name, private_key(8)).verifier.verifier_key
    cosigned = one.note(cosigned=True)
    return [
        ("size-changed", signed("the size is not the signed one", note.replace("\n7\n", "\n8\n"))),
        ("size-with-a-zero", signed("a leading zero", note.replace("\n7\n", "\n07\n"))),
        ("signed-by-a-stranger", signed("not the key that is known", one.note(3))),
        ("signed-by-one-of-two", signed("the second key has not", note, [log_key(), log_key(2)])),
        ("signature-changed", signed("one bit of the signature", _spoilt_signature(note))),
        ("signature-bad-beside-good", signed("one of two is bad", _doubled(note))),
        ("signatures-missing", signed("no signature", note.partition("\n\n")[0] + "\n\n")),
        ("key-of-another-log", _other_log()),
        ("key-with-another-id", signed("the id is not the key's", note, [_other_id()])),
        ("cosignature-missing", signed("the witness has not", note, both)),
        ("cosignature-at-another-time", signed("another time", _later(cosigned), both)),
        ("cosignature-of-another", signed("another's key", cosigned, [log_key(), stranger])),
        ("cosignature-alone", signed("no key of the log is known", cosigned, [witness])),
    ]


def _answers() -> list[Refused]:
    one = EVERYTHING
    shown = event(one)
    good = one.answer(shown)
    some = [one.disclosures[0]]
    disclosed = disclosed_answer(one, some, one.file(some))

    def answer(because: str, spoil: Callable[[Vector], Any]) -> Vector:
        changed = event(one)
        spoil(changed)
        return _refused(because) | {"answer": one.answer(changed)}

    def proof(because: str, **changes: Any) -> Vector:
        place = {**good["inclusion_proof"], **changes}
        return _refused(because) | {"answer": {**good, "inclusion_proof": place}}

    number = {**shown["metadata"], "yes": 1}
    return [
        ("event-with-another-action", answer("action", lambda e: e.update(action="x"))),
        ("event-with-another-name", answer("actor.name", lambda e: e["actor"].update(name="Eve"))),
        (
            "event-at-another-time",
            answer("time", lambda e: e.update(occurred_at="2026-02-03T04:05:06Z")),
        ),
        ("event-with-1-for-true", answer("1 is not true", lambda e: e.update(metadata=number))),
        ("event-at-another-place", answer("log_index", lambda e: e.update(log_index="3"))),
        ("event-with-a-target-more", answer("targets", lambda e: e["targets"].append({"id": "x"}))),
        ("answer-without-the-place", proof("log_index is 0", log_index="0")),
        ("answer-without-the-path", proof("no path", hashes=[])),
        (
            "proof-file-of-more",
            _refused("proof_file discloses more than the answer")
            | {"answer": {**disclosed, "proof_file": one.file()}},
        ),
    ]


def _refused(because: str, file: str | None = None, keys: list[str] | None = None) -> Vector:
    return {
        "comment": f"To be refused: {because}.",
        "keys": keys or [log_key()],
        **({} if file is None else {"file": file}),
        "expected": {"verified": False},
    }


def _opened(because: str, *disclosed: tuple[str, Any], raw: bytes | None = None) -> Vector:
    """A leaf that does commit to these disclosures."""
    texts = [disclosure(name, value, place) for place, (name, value) in enumerate(disclosed)]
    if raw is not None:
        texts.append(base64url(raw))
    one = made()
    whole = {**one.facts, "_sd": sorted(map(digest, texts)), "_sd_alg": "sha-256"}
    one.spoilt_leaf = rfc8785.dumps(whole)
    return _refused(because, one.file(texts))


def _swapped(leaf: bytes) -> bytes:
    return leaf.replace(b'"_sd":[],"_sd_alg":"sha-256"', b'"_sd_alg":"sha-256","_sd":[]')


def _with_value(name: str) -> str:
    changed = disclosure("actor.name", name, 0)
    return EVERYTHING.file([changed])


def _raw(rest: str) -> bytes:
    return f'["{salt(5)}",{rest}]'.encode()


def _without_extra(proof: str) -> str:
    first, _, *rest = proof.split("\n")
    return "\n".join([first, *rest])


def _spoilt_signature(note: str) -> str:
    """The last character that says something is another."""
    head, _, tail = note.rpartition("=")
    last = "A" if head[-2] != "A" else "B"
    return f"{head[:-2]}{last}{head[-1]}={tail}"


def _doubled(note: str) -> str:
    return note + _spoilt_signature(note).rpartition("\n\n")[2]


def _other_log() -> Vector:
    """The installation's key, under the name of another log, under this log's checkpoint."""
    origin = f"log.example.com/{OTHER_ORGANISATION}"
    text = EVERYTHING.note().partition("\n\n")[0] + "\n"
    note = sign(text, Signer(origin, private_key(1))).serialise()
    key = log_key(1, origin)
    return _refused("the key is that of another log", EVERYTHING.file(note=note), [key])


def _other_id() -> str:
    name, _, key = log_key().split("+", 2)
    return f"{name}+00000000+{key}"


def _later(note: str) -> str:
    """The cosignature's time is a second later than the one that was signed."""
    head, _, line = note.removesuffix("\n").rpartition("\n")
    dash, name, _ = line.split(" ")
    genuine = WITNESS.cosign(_checkpoint(note), COSIGNED_AT)
    stamped = (COSIGNED_AT + 1).to_bytes(8, "big") + genuine.signature[8:]
    return f"{head}\n{dash} {name} {b64encode(genuine.key_id + stamped).decode()}\n"


def _checkpoint(note: str) -> Checkpoint:
    return Checkpoint.parse(note.partition("\n\n")[0] + "\n")
