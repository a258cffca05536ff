"""Writing an evidence bundle out of material that was fetched before.

Everything is verified on the way into the zip, by the same functions that verify a bundle, and
nothing is left of the file when something does not hold. Entries pass through one by one: in
memory stay 64 bytes per leaf of the range and a few per event, and the members themselves only as
long as they fit into the page.

Source: docs/evidence.md.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import IO, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from smart_audit.client.evidence.entries import (
    chosen,
    read_entry,
    require_filters,
    require_match,
    time_text,
)
from smart_audit.client.evidence.formats import (
    CHECKPOINT,
    EVENTS,
    KEYS,
    LEAVES,
    MANIFEST,
    PAGE,
    PROOFS,
    RANGE_PROOF,
    SUMMARY,
    ZIP_TIME,
    LeafLine,
    RangeProof,
    event_line,
    proof_name,
    tlog_proof,
)
from smart_audit.client.evidence.keys import Keys, Signed
from smart_audit.client.evidence.lines import EvidenceError, base64
from smart_audit.client.evidence.manifest import DISCLOSE_ALL, Counts, Manifest, Member
from smart_audit.client.evidence.page import Embedding, empty_page, page
from smart_audit.client.evidence.summary import Tally, summary
from smart_audit.tlog.hashing import HASH_SIZE
from smart_audit.tlog.leaf import LeafError
from smart_audit.tlog.proofs import ProofError
from smart_audit.tlog.ranges import RangeTree

_UNIX: Final = 3
_MODE: Final = 0o644 << 16
_SPOOLED: Final = 8 * 1024 * 1024  # bytes of events that are kept out of the file system


@dataclass(frozen=True, slots=True)
class OpenLeaf:
    """An entry to show. disclosures: encoded, all that the exporter holds."""

    index: int
    leaf: bytes
    disclosures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Material:
    """What a bundle is written from, the entries to show aside.

    note: the signed checkpoint. begin: the range's first log index. leaf_hashes: those of the
    whole range, concatenated, 32 bytes each. left, right: the hashes that
    `tlog.ranges.range_proof_nodes` names. filters: by name, see `formats.FILTERS`; times as
    `entries.time_text` writes them. disclose: "all", or paths of fields as `entries.chosen` takes
    them. created_at: with a zone.
    """

    note: str
    keys: Keys
    organisation_id: str
    begin: int
    leaf_hashes: bytes
    left: Sequence[bytes]
    right: Sequence[bytes]
    created_at: datetime
    filters: Mapping[str, str] = field(default_factory=dict)
    disclose: str | Sequence[str] = DISCLOSE_ALL


def write_bundle(
    path: Path,
    material: Material,
    opened: Iterable[OpenLeaf],
    on_event: Callable[[], None] = lambda: None,
) -> Manifest:
    """Write a bundle; an older file of that name is replaced once the new one is complete.

    opened: the entries to show, by log index, ascending. on_event: called after each of them.

    Raises: EvidenceError for material that does not verify; OSError.
    """
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with ZipFile(unfinished, "w", ZIP_DEFLATED) as archive:
            manifest = _Writer(archive, material).write(opened, on_event)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return manifest


class _Writer:
    """The writing of one bundle."""

    def __init__(self, archive: ZipFile, material: Material) -> None:
        self._archive = archive
        self._material = material
        self._members: dict[str, Member] = {}
        self._embedding = Embedding()
        self._tally = Tally()
        self._disclosed = self._withheld = self._unavailable = 0

    def write(self, opened: Iterable[OpenLeaf], on_event: Callable[[], None]) -> Manifest:
        """Write all members in their order."""
        material = self._material
        signed = self._signed()
        tree = self._tree(signed)
        self._add(CHECKPOINT, signed.note.encode())
        self._add(KEYS, material.keys.text().encode())
        proof = RangeProof(
            tree.begin, tree.end, tree.size, tuple(material.left), tuple(material.right)
        )
        self._add(RANGE_PROOF, proof.encode())
        indexes = self._add_entries(opened, on_event)
        for index in indexes:
            self._add(proof_name(index), tlog_proof(index, tree.path(index), signed.note))
        manifest = self._manifest(signed, tree, len(indexes))
        self._add(SUMMARY, summary(manifest, material.keys, signed, self._tally))
        empty = empty_page()
        self._members[PAGE] = Member(sha256(empty).hexdigest(), len(empty))
        manifest = self._manifest(signed, tree, len(indexes))
        self._add(MANIFEST, manifest.encode(), noted=False)
        self._add(PAGE, page(self._embedding), noted=False)
        return manifest

    def _signed(self) -> Signed:
        """Raises: EvidenceError."""
        material = self._material
        Keys.parse(material.keys.text())
        require_filters(material.filters, MANIFEST)
        signed = material.keys.open(material.note)
        if not signed.checkpoint.origin.endswith(f"/{material.organisation_id}"):
            raise EvidenceError(CHECKPOINT, "the log is another organisation's")
        return signed

    def _tree(self, signed: Signed) -> RangeTree:
        """Raises: EvidenceError."""
        material = self._material
        packed = material.leaf_hashes
        hashes = (packed[at : at + HASH_SIZE] for at in range(0, len(packed), HASH_SIZE))
        size = signed.checkpoint.size
        try:
            tree = RangeTree.of(hashes, material.begin, size, material.left, material.right)
        except ProofError as error:
            raise EvidenceError(RANGE_PROOF, str(error)) from error
        if tree.root != signed.checkpoint.root:
            raise EvidenceError(RANGE_PROOF, "the range does not lead to the signed root")
        return tree

    def _add_entries(
        self, opened: Iterable[OpenLeaf], on_event: Callable[[], None]
    ) -> Sequence[int]:
        """Write a line for each leaf of the range, and one for each event.

        Returns: the log indexes of the events.
        """
        indexes: list[int] = []
        with tempfile.SpooledTemporaryFile(max_size=_SPOOLED) as events:
            with self._member(LEAVES) as leaves:
                following = self._material.begin
                for one in opened:
                    leaves.writelines(self._withheld_leaves(following, one.index))
                    leaves.write(self._shown(one, events))
                    indexes.append(one.index)
                    following = one.index + 1
                    on_event()
                end = self._material.begin + len(self._material.leaf_hashes) // HASH_SIZE
                leaves.writelines(self._withheld_leaves(following, end))
            events.seek(0)
            with self._member(EVENTS) as member:
                shutil.copyfileobj(events, member)
        return indexes

    def _withheld_leaves(self, begin: int, end: int) -> Iterator[bytes]:
        """Raises: EvidenceError when the entries are not in order."""
        if end < begin:
            raise EvidenceError(f"index {end}", "the entries are not in their order")
        for index in range(begin, end):
            yield LeafLine(index, leaf_hash=self._hash(index)).encode()

    def _shown(self, one: OpenLeaf, events: IO[bytes]) -> bytes:
        """The line of an entry that is shown; its event is written beside.

        Raises: EvidenceError.
        """
        place = f"index {one.index}"
        material = self._material
        try:
            disclosures, withheld = chosen(one.disclosures, material.disclose)
        except LeafError as error:
            raise EvidenceError(place, str(error)) from error
        entry = read_entry(one.leaf, disclosures, withheld, place)
        if entry.hash != self._hash(one.index):
            raise EvidenceError(place, "the leaf is not the one that stands at this index")
        if entry.facts.get("organisation_id") != material.organisation_id:
            raise EvidenceError(place, "the leaf is another organisation's")
        require_match(entry.facts, material.filters, place)
        events.write(event_line(one.index, entry.event, entry.withheld, entry.unavailable))
        self._tally.add(entry.facts)
        self._disclosed += entry.disclosed
        self._withheld += entry.withheld
        self._unavailable += entry.unavailable
        return LeafLine(one.index, one.leaf, disclosures, withheld).encode()

    def _hash(self, index: int) -> bytes:
        start = (index - self._material.begin) * HASH_SIZE
        return self._material.leaf_hashes[start : start + HASH_SIZE]

    def _manifest(self, signed: Signed, tree: RangeTree, events: int) -> Manifest:
        material = self._material
        return Manifest(
            origin=signed.checkpoint.origin,
            organisation_id=material.organisation_id,
            size=tree.size,
            root=base64(tree.root),
            begin=tree.begin,
            end=tree.end,
            filters=material.filters,
            disclose=material.disclose,
            created_at=time_text(material.created_at),
            counts=Counts(
                events=events,
                withheld_leaves=tree.end - tree.begin - events,
                disclosed=self._disclosed,
                withheld=self._withheld,
                unavailable=self._unavailable,
            ),
            members=self._members,
        )

    def _add(self, name: str, content: bytes, *, noted: bool = True) -> None:
        with self._member(name, noted=noted) as member:
            member.write(content)

    @contextmanager
    def _member(self, name: str, *, noted: bool = True) -> Iterator["_Noting"]:
        """A member to write. noted: whether the manifest tells its digest."""
        info = ZipInfo(name, ZIP_TIME)
        # Thousands of small members: to unpack each of them would cost a reader more than it saves.
        info.compress_type = ZIP_STORED if name.startswith(PROOFS) else ZIP_DEFLATED
        info.create_system, info.external_attr = _UNIX, _MODE
        with self._archive.open(info, "w", force_zip64=name in (LEAVES, EVENTS)) as target:
            noting = _Noting(target, self._embedding.begin(name))
            yield noting
        if noted:
            self._members[name] = Member(noting.digest.hexdigest(), noting.size)


class _Noting:
    """Passes on what is written, and notes its digest and size."""

    def __init__(self, target: IO[bytes], keep: Callable[[bytes], None]) -> None:
        self.digest = sha256()
        self.size = 0
        self._target = target
        self._keep = keep

    def write(self, data: bytes) -> None:
        self.digest.update(data)
        self.size += len(data)
        self._keep(data)
        self._target.write(data)

    def writelines(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            self.write(line)
