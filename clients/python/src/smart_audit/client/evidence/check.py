"""Verifying an evidence bundle with nothing but the bundle, and a key if one is trusted.

Each check goes on as far as it can, so that all faults are named with their places. The manifest's
digests find what was damaged; but whoever changes a member can change the manifest too, so each
thing a person reads is computed again from the leaves, and the leaves from the signature.

Source: docs/evidence.md, "How to verify a bundle".
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from smart_audit.client.evidence import report as reports
from smart_audit.client.evidence.archive import Archive
from smart_audit.client.evidence.entries import (
    Entry,
    read_entry,
    require_chosen,
    require_filters,
    require_match,
)
from smart_audit.client.evidence.event_lines import EventLines
from smart_audit.client.evidence.formats import (
    CHECKPOINT,
    KEYS,
    LEAVES,
    MANIFEST,
    PAGE,
    RANGE_PROOF,
    SUMMARY,
    LeafLine,
    RangeProof,
    member_names,
    proof_name,
    read_tlog_proof,
)
from smart_audit.client.evidence.keys import Keys, Signed, open_by_trusted
from smart_audit.client.evidence.lines import EvidenceError, base64
from smart_audit.client.evidence.manifest import Counts, Manifest, Member
from smart_audit.client.evidence.page import Embedding, empty_page, page_around, split_page
from smart_audit.client.evidence.report import Fault, Report
from smart_audit.client.evidence.summary import Tally, summary
from smart_audit.tlog.hashing import HASH_SIZE
from smart_audit.tlog.proofs import Node, ProofError, inclusion_nodes
from smart_audit.tlog.ranges import RangeTree
from smart_audit.tlog.tlog_proof import ProofFileError

__all__ = ["Fault", "Report", "check_bundle"]

_T = TypeVar("_T")


def check_bundle(path: Path, trusted_keys: Sequence[str] = ()) -> Report:
    """Verify a bundle.

    trusted_keys: verifier keys of the log, and of witnesses if you like; each must have signed.
    With none, the keys in the bundle are believed, which proves only that the bundle fits together.

    Raises: OSError for a file that cannot be read. Whatever is in it is reported, not raised.
    """
    report = Report()
    # A file that is no zip at all is a fault as well.
    with _noting(report), Archive(path) as archive:
        _Check(archive, report, trusted_keys).run()
    return report


class _Check:
    """The check of one bundle. What a step finds out, later ones use; without it they end."""

    def __init__(self, archive: Archive, report: Report, trusted_keys: Sequence[str]) -> None:
        self._archive = archive
        self._report = report
        self._trusted_keys = trusted_keys
        self._keys: Keys | None = None
        self._signed: Signed | None = None
        self._proof: RangeProof | None = None
        self._tree: RangeTree | None = None
        self._hashes = bytearray()
        self._shown: dict[int, bytes] = {}  # leaf hash by log index
        self._tally = Tally()
        self._totals = [0, 0, 0]  # disclosed, withheld, unavailable

    def run(self) -> None:
        """Do all steps in their order."""
        steps: list[tuple[int, Callable[[], None]]] = [
            (reports.ZIP, self._zip),
            (reports.MEMBERS, self._members),
            (reports.SIGNATURES, self._signatures),
            (reports.OPENED, self._entries),
            (reports.RANGE, self._range),
            (reports.PROOFS, self._proofs),
            (reports.CLAIMS, self._claims),
            (reports.WHOLE_PAGE, self._page),
        ]
        for place, step in steps:
            before = self._found
            with _noting(self._report):
                step()
                if self._found == before:
                    self._report.passed[place] = True

    @property
    def _found(self) -> int:
        return len(self._report.faults) + self._report.further_faults

    def _fault(self, place: str, why: str) -> None:
        self._report.add(EvidenceError(place, why))

    def _zip(self) -> None:
        for place, why in self._archive.oddities():
            self._fault(place, why)

    def _members(self) -> None:
        """The manifest, and the digest of each member."""
        names = self._archive.names
        if MANIFEST not in names:
            raise EvidenceError(MANIFEST, "it is missing")
        self._report.manifest = manifest = Manifest.parse(self._archive.read(MANIFEST))
        expected = {*manifest.members, MANIFEST}
        for name in sorted(expected - set(names)):
            self._fault(name, "it is missing")
        for name in names:
            if name not in expected:
                self._fault(name, "the manifest does not name it")
            elif name not in (MANIFEST, PAGE) and self._noted(name) != manifest.members[name]:
                self._fault(name, "its digest is not that of the manifest")

    def _noted(self, name: str) -> Member | None:
        with _noting(self._report):
            return self._archive.noted(name)
        return None

    def _signatures(self) -> None:
        """The checkpoint under the bundle's keys, and under those that are trusted."""
        self._keys = keys = Keys.parse(_text(self._archive.read(KEYS), KEYS))
        self._signed = signed = keys.open(_text(self._archive.read(CHECKPOINT), CHECKPOINT))
        report = self._report
        report.log_keys, report.cosigned = keys.log, signed.cosigned
        if not self._trusted_keys:
            report.notes.append(
                "the key is the bundle's own: compare it with the one that the log's operator "
                "publishes, or that you noted earlier"
            )
            return
        by_trusted = open_by_trusted(signed.note, self._trusted_keys)
        report.key_is_trusted, report.log_keys = True, by_trusted.log_keys
        report.trusted_witnesses = tuple(one.verifier_key for one in by_trusted.cosigned)
        for key in keys.log:
            if key not in by_trusted.log_keys:
                report.notes.append(f"the bundle names another key that has signed: {key}")
        report.cosigned = tuple(dict.fromkeys((*signed.cosigned, *by_trusted.cosigned)))

    def _entries(self) -> None:
        """Leaves and events, side by side."""
        self._proof = proof = RangeProof.parse(self._archive.read(RANGE_PROOF))
        before = self._found
        events = EventLines(self._archive)
        following = proof.begin
        for number, data in enumerate(self._archive.lines(LEAVES), 1):
            place = f"{LEAVES}, line {number}"
            with _noting(self._report):
                line = LeafLine.parse(data, place)
                place = f"{place}, index {line.index}"
                if line.index != following:
                    self._fault(place, f"index {following} should stand here")
                following = line.index
                leaf_hash = line.leaf_hash
                if line.leaf is not None:
                    entry = read_entry(line.leaf, line.disclosures, line.withheld, place)
                    leaf_hash = entry.hash
                    self._note_entry(line, entry, place)
                    events.compare(line.index, entry)
                self._hashes += leaf_hash or b""
            following += 1
        if following != proof.end:
            self._fault(LEAVES, f"it ends before index {following}, not before {proof.end}")
        opened_all = self._found == before
        for error in events.end():
            self._report.add(error)
        self._report.passed[reports.DERIVED] = not events.found
        if not opened_all:
            raise EvidenceError(LEAVES, "not all of its lines hold")

    def _note_entry(self, line: LeafLine, entry: Entry, place: str) -> None:
        """Count an entry, and hold it against the manifest."""
        self._shown[line.index] = entry.hash
        self._tally.add(entry.facts)
        for at, count in enumerate((entry.disclosed, entry.withheld, entry.unavailable)):
            self._totals[at] += count
        manifest = self._report.manifest
        if manifest is None:
            return
        if entry.facts.get("organisation_id") != manifest.organisation_id:
            self._fault(place, "the leaf is another organisation's")
        with _noting(self._report):
            require_match(entry.facts, manifest.filters, place)
            require_chosen(line.disclosures, line.withheld, manifest.disclose, place)

    def _range(self) -> None:
        """The leaves, all together, against the signed root."""
        signed, proof = _known(self._signed, CHECKPOINT), _known(self._proof, RANGE_PROOF)
        if proof.size != signed.checkpoint.size:
            raise EvidenceError(RANGE_PROOF, "its size is not that of the checkpoint")
        packed = bytes(self._hashes)
        hashes = (packed[at : at + HASH_SIZE] for at in range(0, len(packed), HASH_SIZE))
        try:
            tree = RangeTree.of(hashes, proof.begin, proof.size, proof.left, proof.right)
        except ProofError as error:
            raise EvidenceError(RANGE_PROOF, str(error)) from error
        if tree.end != proof.end:
            raise EvidenceError(RANGE_PROOF, "the leaves are not as many as its range has")
        self._tree = tree
        if tree.root != signed.checkpoint.root:
            raise EvidenceError(RANGE_PROOF, "the range of leaves does not lead to the signed root")

    def _proofs(self) -> None:
        """Each event by itself; by the way, where a range that fails departs from the log."""
        signed = _known(self._signed, CHECKPOINT)
        state, tree = signed.checkpoint, self._tree
        is_astray = tree is not None and tree.root != state.root
        known: dict[Node, bytes] = {}
        for index, leaf_hash in self._shown.items():
            name = proof_name(index)
            with _noting(self._report):
                proof = read_tlog_proof(self._archive.read(name), index, signed.note)
                try:
                    proof.verify(leaf_hash)
                except ProofFileError as error:
                    raise EvidenceError(name, str(error)) from error
                if is_astray:
                    elements = inclusion_nodes(index, state.size)
                    known |= {
                        element[0]: one
                        for element, one in zip(elements, proof.path, strict=True)
                        if len(element) == 1
                    }
        if tree is not None and is_astray:
            for fault in _departures(tree, known):
                self._report.add(fault)

    def _claims(self) -> None:
        """What manifest and summary say."""
        manifest = _known(self._report.manifest, MANIFEST)
        signed, proof = _known(self._signed, CHECKPOINT), _known(self._proof, RANGE_PROOF)
        require_filters(manifest.filters, MANIFEST)
        state = signed.checkpoint
        claimed = (manifest.origin, manifest.size, manifest.root, manifest.begin, manifest.end)
        if claimed != (state.origin, state.size, base64(state.root), proof.begin, proof.end):
            self._fault(MANIFEST, "log, size, root or range are not those of the other members")
        if not state.origin.endswith(f"/{manifest.organisation_id}"):
            self._fault(MANIFEST, "the log is another organisation's")
        events = len(self._shown)
        counts = Counts(events, proof.end - proof.begin - events, *self._totals)
        if manifest.counts != counts:
            self._fault(MANIFEST, "it counts other events or fields than there are")
        names = member_names(list(self._shown))
        if self._archive.names != names:
            self._fault("zip", "its members are not those of these events, in their order")
        if {*manifest.members, MANIFEST} != set(names):
            self._fault(MANIFEST, "it names other members than a bundle of these events has")
        keys = _known(self._keys, KEYS)
        if summary(manifest, keys, signed, self._tally) != self._archive.read(SUMMARY):
            self._fault(SUMMARY, "it is not the summary of this bundle")

    def _page(self) -> None:
        """The page around its data, and the data."""
        manifest = _known(self._report.manifest, MANIFEST)
        head, block, tail = split_page(self._archive.read(PAGE))
        empty = head + tail
        noted = Member(sha256(empty).hexdigest(), len(empty))
        if noted != manifest.members.get(PAGE):
            self._fault(PAGE, "its digest is not that of the manifest")
        if empty != empty_page():
            self._report.notes.append(
                f"{PAGE} is not the page that this version writes: rely on this report, not on it"
            )
        embedding = Embedding()
        for name in self._archive.names:
            keep = embedding.begin(name)
            if name == PAGE:
                continue
            for data in self._archive.chunks(name):
                keep(data)
                if not embedding.is_open:
                    break
        if page_around(head, embedding, tail) != head + block + tail:
            self._fault(PAGE, "it holds other data than the bundle")


def _departures(tree: RangeTree, known: dict[Node, bytes]) -> Iterator[EvidenceError]:
    """Where a range departs from a log of which some nodes are known: the smallest such places."""
    wrong = [
        node
        for node, value in sorted(known.items())
        if (given := tree.node(node.level, node.index)) is not None and given != value
    ]
    found: list[Node] = []
    for node in wrong:
        begin = node.index << node.level
        if any(begin <= one.index << one.level < node.end for one in found):
            continue
        found.append(node)
        if begin < tree.end and node.end > tree.begin:
            first, last = max(begin, tree.begin), min(node.end, tree.end) - 1
            where = f"index {first}" if first == last else f"indexes {first} to {last}"
            yield EvidenceError(f"{LEAVES}, {where}", "the leaves here are not those of the log")
        else:
            side = "left" if begin < tree.begin else "right"
            yield EvidenceError(f"{RANGE_PROOF}, {side}", f"the hash over index {begin} is wrong")


@contextmanager
def _noting(report: Report) -> Iterator[None]:
    """Note the fault that ends a step."""
    try:
        yield
    except EvidenceError as error:
        report.add(error)
    except RecursionError:
        report.add(EvidenceError("zip", "it holds JSON that is nested too deep to be read"))


def _known(value: _T | None, place: str) -> _T:
    """Raises: EvidenceError when an earlier step has not come so far."""
    if value is None:
        raise EvidenceError(place, "it did not hold, so what rests on it cannot be checked")
    return value


def _text(data: bytes, place: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise EvidenceError(place, "it is not UTF-8") from error
