"""Logs and bundles without a server: leaves by tlog, signed by keys of the test's own."""

import base64
import io
import json
import struct
import zipfile
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smart_audit.client.evidence.bundle import Material, OpenLeaf, write_bundle
from smart_audit.client.evidence.entries import time_text
from smart_audit.client.evidence.formats import MANIFEST, PAGE, ZIP_TIME
from smart_audit.client.evidence.keys import Keys
from smart_audit.client.evidence.page import split_page
from smart_audit.tlog.append import grow
from smart_audit.tlog.checkpoint import Checkpoint
from smart_audit.tlog.compact import CompactRange
from smart_audit.tlog.cosignature import Cosigner
from smart_audit.tlog.hashing import leaf_hash
from smart_audit.tlog.leaf import build_leaf, new_disclosure
from smart_audit.tlog.note import Signer, sign, verifier_key
from smart_audit.tlog.ranges import range_proof_nodes
from tests.tlog import reference

ORGANISATION = "01890a5d-ac96-774b-bcce-b302099a8057"
ORIGIN = f"log.example.com/{ORGANISATION}"
START = datetime(2026, 2, 3, 4, 5, 6, 7, tzinfo=UTC)
CREATED = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ACTIONS = ("document.share", "document.read", "user.login", "report.export")
OUTCOMES = ("success", "success", "failure", "denied")
COSIGNED_AT = 1_772_000_000


@dataclass(frozen=True)
class Entry:
    """A leaf and all its disclosures."""

    leaf: bytes
    disclosures: tuple[str, ...]


def private_key(seed: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


@dataclass
class Log:
    """A log of events that differ in all that is filtered by."""

    size: int
    seed: int = 1
    entries: list[Entry] = field(default_factory=list)
    witnesses: tuple[Cosigner, ...] = (
        Cosigner("witness-one.example", private_key(11)),
        Cosigner("witness-two.example", private_key(12)),
    )

    def __post_init__(self) -> None:
        self.entries = [entry(index) for index in range(self.size)]

    @property
    def signer(self) -> Signer:
        return Signer(ORIGIN, private_key(self.seed))

    @property
    def key(self) -> str:
        return verifier_key(ORIGIN, self.signer.private_key.public_key())

    @property
    def keys(self) -> Keys:
        return Keys((self.key,), tuple(one.verifier.verifier_key for one in self.witnesses))

    @property
    def hashes(self) -> list[bytes]:
        return [leaf_hash(entry.leaf) for entry in self.entries]

    def note(self) -> str:
        root = grow(CompactRange.empty(), self.hashes).root
        checkpoint = Checkpoint(ORIGIN, self.size, root)
        note = sign(checkpoint.text(), self.signer)
        cosigned = [witness.cosign(checkpoint, COSIGNED_AT) for witness in self.witnesses]
        return replace(note, signatures=(*note.signatures, *cosigned)).serialise()

    def material(self, begin: int, end: int, **changed) -> Material:
        hashes = self.hashes
        leaves = [entry.leaf for entry in self.entries]
        # By the definition where that is quick enough: an error of ours cannot hide in both.
        left, right = (
            tuple(root_of(hashes, leaves, node.index << node.level, node.end) for node in side)
            for side in range_proof_nodes(begin, end, self.size)
        )
        material = Material(
            note=self.note(),
            keys=self.keys,
            organisation_id=ORGANISATION,
            begin=begin,
            leaf_hashes=b"".join(hashes[begin:end]),
            left=left,
            right=right,
            created_at=CREATED,
        )
        return replace(material, **changed)

    def opened(self, *indexes: int) -> list[OpenLeaf]:
        return [
            OpenLeaf(index, self.entries[index].leaf, self.entries[index].disclosures)
            for index in indexes
        ]

    def bundle(self, path: Path, begin: int, end: int, *indexes: int, **changed) -> Path:
        """A bundle of the range; without indexes all its events are shown."""
        shown = indexes or range(begin, end)
        write_bundle(path, self.material(begin, end, **changed), self.opened(*shown))
        return path


def root_of(hashes: list[bytes], leaves: list[bytes], begin: int, end: int) -> bytes:
    if end - begin > 64:
        return grow(CompactRange.empty(), hashes[begin:end]).root
    return reference.mth(leaves[begin:end])


def entry(index: int, **changed) -> Entry:
    """An event; `metadata` holds numbers and texts that JSON writers like to differ over."""
    time = START + timedelta(minutes=7 * index)
    actor = f"u_{index % 5}"
    facts = {
        "version": 1,
        "id": f"01890a5d-ac96-7ab2-80e2-{index:012x}",
        "organisation_id": ORGANISATION,
        "action": ACTIONS[index % len(ACTIONS)],
        "actor": {"id": actor, "type": "user"},
        "outcome": OUTCOMES[index // 2 % len(OUTCOMES)],
        "occurred_at": time_text(time),
        "recorded_at": time_text(time + timedelta(seconds=1)),
        "recorded_by": "svc_7",
        "targets": [{"id": f"d_{index % 7}", "type": "document"}, {"id": "room"}],
    } | changed
    fields = {
        "actor.name": f"Zoë <b>{index}</b> Ångström",
        "actor.email": f"{actor}@example.com",
        "targets.0.name": f"Contract № {index} & annexes 🗄",
        "source_address": "192.0.2.7",
        "metadata": {
            "__proto__": {"polluted": True},
            "big": 1e16,
            "half": 0.5,
            "long": 2**53 - 1,
            "small": 1e-7,
            "list": [1, None, True, "</script>\u2028"],
            "𝕏": 1,
            "\ufb33": 2,
            "index": index,
        },
    }
    disclosures = [new_disclosure(name, value, salt(index, name)) for name, value in fields.items()]
    leaf = build_leaf(facts, disclosures)
    return Entry(leaf, tuple(disclosure.encoded for disclosure in disclosures))


def salt(index: int, name: str) -> str:
    drawn = sha256(f"{index} {name}".encode()).digest()[:16]
    return base64.urlsafe_b64encode(drawn).rstrip(b"=").decode()


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(path: Path, contents: dict[str, bytes]) -> Path:
    """Members as a zip, as the writer of bundles would write it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            archive.writestr(zipfile.ZipInfo(name, ZIP_TIME), data, zipfile.ZIP_DEFLATED)
    return path


def hiding(raw: bytes) -> list[bytes]:
    """The zip with a member that its directory does not name, before all others and behind them.

    A reader that goes from front to back unpacks it.
    """
    (directory,) = struct.unpack("<I", raw[-6:-2])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("summary.txt", ZIP_TIME), b"all is well")
    more = buffer.getvalue()[: buffer.getvalue().index(b"PK\1\2")]
    behind = raw[:directory] + more + raw[directory:-6]
    before = bytearray(more + raw)
    at = len(more) + directory
    while before[at : at + 4] == b"PK\1\2":
        (offset,) = struct.unpack_from("<I", before, at + 42)
        struct.pack_into("<I", before, at + 42, offset + len(more))
        at += 46 + sum(struct.unpack_from("<3H", before, at + 28))
    struct.pack_into("<I", before, len(before) - 6, len(more) + directory)
    return [bytes(before), behind + struct.pack("<I", directory + len(more)) + raw[-2:]]


def redigested(contents: dict[str, bytes]) -> dict[str, bytes]:
    """The members with digests and page made to fit: what a forger would do as well."""
    manifest = json.loads(contents[MANIFEST])
    for name, data in contents.items():
        if name not in (MANIFEST, PAGE):
            manifest["members"][name] = {"sha256": sha256(data).hexdigest(), "size": len(data)}
    manifest["members"] = {
        name: one for name, one in manifest["members"].items() if name in contents
    }
    encoded = json.dumps(manifest, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return refilled(contents | {MANIFEST: f"{encoded}\n".encode()})


def refilled(contents: dict[str, bytes]) -> dict[str, bytes]:
    """The members with a page that holds them."""
    head, _, tail = split_page(contents[PAGE])
    others = {name: data.decode() for name, data in contents.items() if name != PAGE}
    block = json.dumps(others, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return contents | {PAGE: head + block.encode() + tail}
