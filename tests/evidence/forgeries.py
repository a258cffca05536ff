"""What a forger may try. Each forgery is made to fit the manifest's digests and the page again.

A forgery takes the members of `shown_bundle` and returns others; `place` begins the place of a
fault that must be found.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from smart_audit.client.evidence.formats import (
    CHECKPOINT,
    EVENTS,
    KEYS,
    LEAVES,
    MANIFEST,
    PAGE,
    RANGE_PROOF,
    SUMMARY,
    proof_name,
)
from smart_audit.client.evidence.keys import Keys
from smart_audit.client.evidence.lines import doubles, line
from smart_audit.tlog.cosignature import Cosigner
from smart_audit.tlog.hashing import leaf_hash
from smart_audit.tlog.leaf import Disclosure, new_disclosure
from smart_audit.tlog.note import Signer, sign, verifier_key

from .making import ORIGIN, Log, entry, private_key, redigested

Members = dict[str, bytes]
Forge = Callable[[Members], Members]
Change = Callable[[dict[str, Any]], object]

STRANGER = Cosigner("stranger.example", private_key(14))
BEGIN, END, SHOWN = 7, 41, (7, 9, 10, 11, 20, 40)


@dataclass(frozen=True)
class Forgery:
    """place: where a fault must be found; because: part of its reason."""

    place: str
    because: str
    forge: Forge


def lines(contents: Members, name: str) -> list[bytes]:
    return contents[name].splitlines(keepends=True)


def with_lines(contents: Members, name: str, changed: list[bytes]) -> Members:
    return redigested(contents | {name: b"".join(changed)})


def with_json(contents: Members, name: str, number: int, change: Change) -> Members:
    """Change the JSON in a line."""
    rows = lines(contents, name)
    content = json.loads(rows[number])
    change(content)
    rows[number] = line(doubles(content))
    return with_lines(contents, name, rows)


def replaced(name: str, old: bytes, new: bytes) -> Forge:
    def forge(contents: Members) -> Members:
        assert old in contents[name]
        return redigested(contents | {name: contents[name].replace(old, new, 1)})

    return forge


def changed(name: str, number: int, change: Change) -> Forge:
    return lambda contents: with_json(contents, name, number, change)


def dropped(name: str, number: int) -> Forge:
    def forge(contents: Members) -> Members:
        rows = lines(contents, name)
        del rows[number]
        return with_lines(contents, name, rows)

    return forge


def doubled(name: str, number: int) -> Forge:
    def forge(contents: Members) -> Members:
        rows = lines(contents, name)
        return with_lines(contents, name, rows[: number + 1] + rows[number:])

    return forge


def swapped(name: str, one: int, other: int) -> Forge:
    def forge(contents: Members) -> Members:
        rows = lines(contents, name)
        rows[one], rows[other] = rows[other], rows[one]
        return with_lines(contents, name, rows)

    return forge


def renumbered(one: int, other: int) -> Forge:
    """Two leaves change places, and take the numbers of each other."""

    def forge(contents: Members) -> Members:
        rows = [json.loads(row) for row in lines(contents, LEAVES)]
        rows[one], rows[other] = rows[other], rows[one]
        for place, row in enumerate(rows):
            row["index"] = BEGIN + place
        return with_lines(contents, LEAVES, [line(row) for row in rows])

    return forge


def other_leaf(contents: Members) -> Members:
    """Another event in the place of the first, with all that follows from it."""
    other = entry(7, action="document.read")
    contents = with_json(
        contents, LEAVES, 0, lambda line: line.update(leaf=b64encode(other.leaf).decode())
    )
    contents = with_json(
        contents, EVENTS, 0, lambda line: line["event"].update(action="document.read")
    )
    text = contents[SUMMARY].replace(b"         1  document.read\n", b"         2  document.read\n")
    return redigested(contents | {SUMMARY: text})


def other_salt(line: dict[str, Any]) -> None:
    theirs = Disclosure.parse(line["disclosures"][0])
    line["disclosures"][0] = new_disclosure(theirs.name, "Eve", theirs.salt).encoded


def moved_disclosure(contents: Members) -> Members:
    theirs = json.loads(lines(contents, LEAVES)[2])["disclosures"][0]
    return with_json(contents, LEAVES, 0, lambda line: line["disclosures"].__setitem__(0, theirs))


def without(name: str) -> Forge:
    return lambda contents: {other: data for other, data in contents.items() if other != name}


def own_note(contents: Members) -> Members:
    """A checkpoint of a log of the same name, signed by its own key, over other leaves."""
    return redigested(contents | {CHECKPOINT: Log(50, seed=2).note().encode()})


def older_note(contents: Members) -> Members:
    """A checkpoint of this log, from when it was smaller."""
    return redigested(contents | {CHECKPOINT: Log(45).note().encode()})


def other_logs_note(contents: Members) -> Members:
    """A checkpoint of another log of the same installation, whose logs share one key pair."""
    origin = ORIGIN.replace("01890a5d", "01890a5e")
    signer = Signer(origin, Log(0).signer.private_key)
    note = sign(
        contents[CHECKPOINT].decode().partition("\n\n")[0].replace(ORIGIN, origin) + "\n", signer
    )
    keys = Keys((verifier_key(origin, signer.private_key.public_key()),))
    return redigested(
        contents | {CHECKPOINT: note.serialise().encode(), KEYS: keys.text().encode()}
    )


def hidden(contents: Members) -> Members:
    """The second event becomes a hash, and no other member tells of it; the counts stay."""
    contents = with_hash(contents)
    contents = dropped(EVENTS, 1)(contents)
    return redigested(without(proof_name(9))(contents))


def with_hash(contents: Members) -> Members:
    row = line({"index": 9, "leaf_hash": b64encode(leaf_hash(entry(9).leaf)).decode()})
    rows = lines(contents, LEAVES)
    return with_lines(contents, LEAVES, [*rows[:2], row, *rows[3:]])


def lengthened(contents: Members) -> Members:
    """One more leaf, of which nobody could know the hash."""
    row = line({"index": END, "leaf_hash": b64encode(bytes(32)).decode()})
    contents = with_lines(contents, LEAVES, [*lines(contents, LEAVES), row])
    contents = with_json(contents, RANGE_PROOF, 0, lambda proof: proof.update(end=END + 1))
    return with_json(contents, MANIFEST, 0, lambda content: content.update(end=END + 1))


def shortened(contents: Members) -> Members:
    """The range begins behind its first leaf, and all members fit that."""
    contents = dropped(EVENTS, 0)(dropped(LEAVES, 0)(contents))
    contents = redigested(without(proof_name(BEGIN))(contents))
    contents = with_json(contents, RANGE_PROOF, 0, lambda proof: proof.update(begin=BEGIN + 1))
    return with_json(
        contents, MANIFEST, 0, lambda content: content.update(begin=BEGIN + 1, events=5)
    )


def own_witness(contents: Members) -> Members:
    """A witness that never was."""
    eve = Cosigner("witness-one.example", private_key(13))
    keys = (
        contents[KEYS]
        .decode()
        .replace(Log(0).witnesses[0].verifier.verifier_key, eve.verifier.verifier_key)
    )
    return redigested(contents | {KEYS: keys.encode()})


def flipped_base64(text: str) -> str:
    data = bytearray(b64decode(text))
    data[5] ^= 1
    return b64encode(data).decode()


def flip(name: str, at: int | None = None) -> Change:
    """Change one bit of a hash in base64: a member, or one of the list that it is."""

    def change(content: dict[str, Any]) -> None:
        if at is None:
            content[name] = flipped_base64(content[name])
        else:
            content[name][at] = flipped_base64(content[name][at])

    return change


def extended(name: str, data: bytes) -> Forge:
    return lambda contents: contents | {name: contents.get(name, b"") + data}


def other_data(contents: Members) -> Members:
    """Another summary, in the page alone."""
    page = contents[PAGE].replace(b"Evidence from an audit log\\n", b"Evidence for an audit log\\n")
    assert page != contents[PAGE]
    return contents | {PAGE: page}


def other_proof(contents: Members) -> Members:
    return redigested(contents | {proof_name(9): contents[proof_name(10)]})


def manifest(**members: object) -> Forge:
    return changed(MANIFEST, 0, lambda content: content.update(members))


FORGERIES = {
    "a leaf is dropped": Forgery("leaves.jsonl, line 5", "should stand here", dropped(LEAVES, 4)),
    "the last leaf is dropped": Forgery("leaves.jsonl", "ends before", dropped(LEAVES, 33)),
    "a leaf comes twice": Forgery("leaves.jsonl, line 6", "should stand", doubled(LEAVES, 4)),
    "two leaves are swapped": Forgery("leaves.jsonl, line 4", "should", swapped(LEAVES, 3, 7)),
    "two leaves take each other's number": Forgery(
        "range-proof.json", "signed root", renumbered(12, 13)
    ),
    "two shown leaves take each other's number": Forgery(
        "proofs/10.tlog-proof", "root", renumbered(3, 4)
    ),
    "a withheld hash is changed": Forgery(
        "range-proof.json", "signed root", changed(LEAVES, 14, flip("leaf_hash"))
    ),
    "an index is not a number": Forgery(
        "leaves.jsonl, line 2", "", changed(LEAVES, 1, lambda line: line.update(index=True))
    ),
    "a leaf is another": Forgery("proofs/7.tlog-proof", "root", other_leaf),
    "a leaf is no event": Forgery(
        "leaves.jsonl, line 1", "", changed(LEAVES, 0, lambda line: line.update(leaf="e30="))
    ),
    "a leaf line has a member more": Forgery(
        "leaves.jsonl, line 2", "", changed(LEAVES, 1, lambda line: line.update(note="x"))
    ),
    "a disclosure is another": Forgery(
        "leaves.jsonl, line 1, index 7", "not of this leaf", changed(LEAVES, 0, other_salt)
    ),
    "a disclosure is another leaf's": Forgery(
        "leaves.jsonl, line 1, index 7", "not of this leaf", moved_disclosure
    ),
    "a disclosure comes twice": Forgery(
        "leaves.jsonl, line 1, index 7",
        "given twice",
        changed(LEAVES, 0, lambda line: line["disclosures"].append(line["disclosures"][0])),
    ),
    "a leaf is hidden and its event stays": Forgery("events.jsonl, line 2", "no leaf", with_hash),
    "an event is hidden": Forgery("manifest.json", "counts", hidden),
    "a leaf is added": Forgery("range-proof.json", "", lengthened),
    "the range is shortened": Forgery("range-proof.json", "hashes", shortened),
    "a disclosure is taken out": Forgery(
        "events.jsonl, line 1",
        "leaf states",
        changed(LEAVES, 0, lambda line: line["disclosures"].pop()),
    ),
    "a withheld digest is called unavailable": Forgery(
        "events.jsonl, line 1",
        "leaf states",
        changed(LEAVES, 0, lambda line: line["withheld"].pop()),
    ),
    "a withheld digest is not the leaf's": Forgery(
        "leaves.jsonl, line 1",
        "withheld",
        changed(LEAVES, 0, lambda line: line.update(withheld=["A" * 43])),
    ),
    "an event is dropped": Forgery("events.jsonl", "index 9 is missing", dropped(EVENTS, 1)),
    "an event comes twice": Forgery("events.jsonl, line 3", "twice", doubled(EVENTS, 1)),
    "events are swapped": Forgery("events.jsonl", "index 9 is missing", swapped(EVENTS, 1, 2)),
    "an event is changed": Forgery(
        "events.jsonl, line 2",
        "index 9 is not what its leaf states",
        changed(EVENTS, 1, lambda line: line["event"]["actor"].update(name="Eve")),
    ),
    "an event hides what is withheld": Forgery(
        "events.jsonl, line 2",
        "leaf states",
        changed(EVENTS, 1, lambda line: line.update(withheld=0)),
    ),
    "an event is not JSON": Forgery(
        "events.jsonl, line 1", "", replaced(EVENTS, b'{"event"', b'["event"')
    ),
    "the checkpoint has another size": Forgery(
        "checkpoint.txt", "not valid", replaced(CHECKPOINT, b"\n50\n", b"\n51\n")
    ),
    "the checkpoint is signed by another key": Forgery("checkpoint.txt", "no signature", own_note),
    "the checkpoint is an older one": Forgery("range-proof.json", "size", older_note),
    "the checkpoint is another log's": Forgery("manifest.json", "organisation", other_logs_note),
    "the checkpoint is no note": Forgery(
        "checkpoint.txt", "", replaced(CHECKPOINT, b"\n\n", b"\n")
    ),
    "a cosignature is of another time": Forgery(
        "checkpoint.txt",
        "not valid",
        replaced(CHECKPOINT, b"wfApXAAAAABpn", b"wfApXAAAAABpo"),
    ),
    "a witness is another": Forgery("checkpoint.txt", "not signed", own_witness),
    "a witness is made up": Forgery(
        "checkpoint.txt",
        "not signed",
        replaced(
            KEYS, b"quorum", b"witness w3 " + STRANGER.verifier.verifier_key.encode() + b"\nquorum"
        ),
    ),
    "a witness is concealed": Forgery(
        "summary.txt",
        "not the summary",
        lambda contents: redigested(contents | {KEYS: Keys((Log(0).key,)).text().encode()}),
    ),
    "the keys are none": Forgery("keys.txt", "", replaced(KEYS, b"log ", b"dog ")),
    "a key has another id": Forgery("keys.txt", "", replaced(KEYS, b"+3eebc019+", b"+3eebc01a+")),
    "a hash on the left is changed": Forgery(
        "range-proof.json", "signed root", changed(RANGE_PROOF, 0, flip("left", 0))
    ),
    "a hash on the right is changed": Forgery(
        "range-proof.json", "signed root", changed(RANGE_PROOF, 0, flip("right", 1))
    ),
    "the range proof is too long": Forgery(
        "range-proof.json",
        "hashes",
        changed(RANGE_PROOF, 0, lambda proof: proof["left"].append(proof["left"][0])),
    ),
    "the range begins elsewhere": Forgery(
        "leaves.jsonl, line 1",
        "should stand here",
        changed(RANGE_PROOF, 0, lambda proof: proof.update(begin=8)),
    ),
    "the range is of another tree": Forgery(
        "range-proof.json", "size", changed(RANGE_PROOF, 0, lambda proof: proof.update(size=51))
    ),
    "a proof is another's": Forgery(
        "proofs/9.tlog-proof",
        "",
        other_proof,
    ),
    "a proof is too short": Forgery(
        "proofs/9.tlog-proof",
        "",
        dropped("proofs/9.tlog-proof", 2),
    ),
    "a proof is missing": Forgery(
        "proofs/9.tlog-proof",
        "missing",
        lambda contents: redigested(without(proof_name(9))(contents)),
    ),
    "the summary is changed": Forgery(
        "summary.txt",
        "not the summary",
        replaced(SUMMARY, b"Events shown      6", b"Events shown      5"),
    ),
    "the manifest counts other events": Forgery("manifest.json", "counts", manifest(events=5)),
    "the manifest names a filter that lets none through": Forgery(
        "leaves.jsonl, line 1, index 7", "filter action", manifest(filters={"action": "none"})
    ),
    "the manifest chooses other fields": Forgery(
        "leaves.jsonl, line 1, index 7", "chosen", manifest(disclose=["metadata"])
    ),
    "the manifest withholds no fields": Forgery(
        "leaves.jsonl, line 1, index 7", "chosen", manifest(disclose="all")
    ),
    "the manifest was made at no time": Forgery(
        "manifest.json", "", manifest(created_at="2026-03-01, and all is well")
    ),
    "the manifest names an unknown filter": Forgery(
        "manifest.json", "", manifest(filters={"mood": "x"})
    ),
    "the manifest has another reason": Forgery(
        "manifest.json",
        "",
        changed(MANIFEST, 0, lambda content: content["withheld"]["leaves"].update(why="x")),
    ),
    "the manifest is of another log": Forgery(
        "manifest.json", "", manifest(origin="other.example/log")
    ),
    "the manifest is of another organisation": Forgery(
        "leaves.jsonl, line 1", "organisation", manifest(organisation_id="1-1")
    ),
    "the manifest is of another version": Forgery("manifest.json", "", manifest(version=2)),
    "the summary is missing": Forgery("summary.txt", "missing", without(SUMMARY)),
    "the manifest is missing": Forgery("manifest.json", "missing", without(MANIFEST)),
    "there is a member more": Forgery("extra.txt", "does not name", extended("extra.txt", b"x")),
    "the members are in another order": Forgery(
        "zip", "order", lambda contents: dict(sorted(contents.items()))
    ),
    "the page has another script": Forgery(
        "verify.html", "digest", extended(PAGE, b"<script>alert(1)</script>")
    ),
    "the page holds other data": Forgery("verify.html", "other data", other_data),
}
