"""Proof files."""

from base64 import b64encode
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smart_audit.tlog.checkpoint import Checkpoint
from smart_audit.tlog.hashing import leaf_hash
from smart_audit.tlog.note import Signer, sign
from smart_audit.tlog.tlog_proof import ProofFileError, TlogProof

from . import published

LOG = Signer("log.example/a", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
NOTE = sign(Checkpoint(LOG.name, 8, published.ROOTS[8]).text(), LOG).serialise()
PATH = tuple(published.NODES[place] for place in published.INCLUSION[5, 8])
PROOF = TlogProof(5, PATH, NOTE)
HASH = b64encode(PATH[0]).decode()


def test_the_file_is_written_as_the_specification_says():
    assert PROOF.text() == (
        "c2sp.org/tlog-proof@v1\nindex 5\n"
        "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=\n"
        "yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=\n"
        f"{b64encode(published.ROOTS[4]).decode()}\n\n{NOTE}"
    )


@pytest.mark.parametrize("extra", [b"", b"x", bytes(range(256))])
def test_a_file_reads_back(extra):
    proof = replace(PROOF, extra=extra)
    assert TlogProof.parse(proof.text()) == proof
    assert TlogProof.parse(proof.text().encode()) == proof
    assert ("extra " in proof.text()) is bool(extra)


def test_the_entry_is_proven():
    PROOF.verify(published.NODES[0, 5])
    assert PROOF.checkpoint.origin == LOG.name
    with pytest.raises(ProofFileError, match="root"):
        PROOF.verify(leaf_hash(b"another"))
    with pytest.raises(ProofFileError, match="root"):
        replace(PROOF, index=4).verify(published.NODES[0, 5])


def test_the_only_entry_needs_no_path():
    note = sign(Checkpoint(LOG.name, 1, published.ROOTS[1]).text(), LOG).serialise()
    proof = TlogProof.parse(f"c2sp.org/tlog-proof@v1\nindex 0\n\n{note}")
    assert proof.path == ()
    proof.verify(published.NODES[0, 0])


@pytest.mark.parametrize(
    "changed",
    [
        ("c2sp.org/tlog-proof@v1\n", ""),
        ("c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v2"),
        ("c2sp.org/tlog-proof@v1", " c2sp.org/tlog-proof@v1"),
        ("proof@v1\n", "proof@v1\r\n"),
        ("proof@v1\n", "proof@v1\n\n"),
        ("index 5\n", ""),
        ("index 5", "index 05"),
        ("index 5", "index -5"),
        ("index 5", "index +5"),
        ("index 5", "index  5"),
        ("index 5", "index 5 "),
        ("index 5", "index ٥"),
        ("index 5", "index 8"),
        ("index 5", f"index {2**64}"),
        ("index 5", f"index {'9' * 5000}"),
        ("index 5", "Index 5"),
        ("index 5", "extra \nindex 5"),
        ("index 5", "extra eA\nindex 5"),
        ("index 5", "extra eB==\nindex 5"),
        ("index 5", "extra eA== \nindex 5"),
        ("index 5", "extra eA==\nextra eA==\nindex 5"),
        ("index 5", "index 5\nextra eA=="),
        (HASH, HASH[:-1]),
        (HASH, HASH + "="),
        (HASH, f" {HASH}"),
        (HASH, "eA=="),
        (HASH, "!" * 44),
        (f"{HASH}\n", f"{HASH}\n" * 65),
        ("\n\nlog", "\nlog"),
        (NOTE, ""),
        (NOTE, NOTE[:-1]),
        (NOTE, f"\n{NOTE}"),
        (NOTE, "text\n\n" + NOTE.split("\n\n")[1]),
    ],
)
def test_what_is_not_a_proof_file_is_refused(changed):
    old, new = changed
    assert PROOF.text().count(old) == 1 or old in {"5", "proof@v1\n"}
    with pytest.raises(ProofFileError):
        TlogProof.parse(PROOF.text().replace(old, new))


@pytest.mark.parametrize(
    "data", ["", b"", "\ud800", b"\xff", b"\n\n", "c2sp.org/tlog-proof@v1\n\n"]
)
def test_garbage_is_refused(data):
    with pytest.raises(ProofFileError):
        TlogProof.parse(data)


def test_a_file_that_is_too_long_is_refused():
    with pytest.raises(ProofFileError, match="more than 2000000"):
        TlogProof.parse(replace(PROOF, extra=bytes(1_600_000)).text())


@pytest.mark.parametrize(
    "change",
    [{"index": -1}, {"index": 8}, {"path": (b"short",)}, {"path": PATH * 22}, {"note": "text\n"}],
)
def test_a_proof_that_cannot_be_written_is_refused(change):
    with pytest.raises(ProofFileError):
        replace(PROOF, **change)
