"""Every format under damage: whatever comes in, only the format's own error comes out."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smart_audit.tlog.add_checkpoint import (
    AddCheckpoint,
    AddCheckpointError,
    cosigned_body,
    open_cosigned,
    parse_cosigned,
    parse_size,
)
from smart_audit.tlog.checkpoint import Checkpoint, CheckpointError
from smart_audit.tlog.cosignature import CosignatureVerifier, Cosigner
from smart_audit.tlog.entrybundle import BundleError, pack, unpack
from smart_audit.tlog.note import (
    NoteError,
    Signer,
    Verifier,
    open_note,
    parse,
    sign,
    verifier_key,
)
from smart_audit.tlog.policy import Policy, PolicyError
from smart_audit.tlog.tlog_proof import ProofFileError, TlogProof

from . import published

CASES = 3_000
SOAK_CASES = 300_000

LOG = Signer("log.example/é", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
WITNESS = Cosigner("witness.example/w", Ed25519PrivateKey.from_private_bytes(bytes(32)))
CHECKPOINT = Checkpoint(LOG.name, 8, published.ROOTS[8], ("extension",))
SIGNED = sign(CHECKPOINT.text(), LOG)
NOTE = replace(
    SIGNED, signatures=(*SIGNED.signatures, WITNESS.cosign(CHECKPOINT, 1_700_000_000))
).serialise()
KEYS = [LOG.verifier, WITNESS.verifier]
VKEY = verifier_key(LOG.name, LOG.private_key.public_key())
PATH = tuple(published.NODES[place] for place in published.INCLUSION[5, 8])
POLICY = (
    f"# policy\nlog {VKEY} https://log.example\n"
    f"witness W {WITNESS.verifier.verifier_key} https://w.example\ngroup G 1 W\nquorum G\n"
)


def text(data: bytes) -> str:
    """Any bytes as a string, lone surrogates included."""
    return data.decode(errors="surrogateescape")


@dataclass(frozen=True)
class Format:
    """An input that is good, who reads it, and what the reader may raise."""

    good: bytes
    read: Callable[[bytes], object]
    error: type[ValueError]
    reads_back: Callable[[object], bytes] | None = None


FORMATS = {
    "note": Format(NOTE.encode(), parse, NoteError, lambda note: note.serialise().encode()),
    "note as text": Format(NOTE.encode(), lambda data: parse(text(data)), NoteError),
    "signed note": Format(NOTE.encode(), lambda data: open_note(data, KEYS), NoteError),
    "checkpoint": Format(
        CHECKPOINT.text().encode(),
        lambda data: Checkpoint.parse(text(data)),
        CheckpointError,
        lambda checkpoint: checkpoint.text().encode(errors="surrogateescape"),
    ),
    "verifier key": Format(VKEY.encode(), lambda data: Verifier.parse(text(data)), NoteError),
    "cosigner's key": Format(
        WITNESS.verifier.verifier_key.encode(),
        lambda data: CosignatureVerifier.parse(text(data)),
        NoteError,
        lambda verifier: verifier.verifier_key.encode(),
    ),
    "proof file": Format(
        TlogProof(5, PATH, NOTE, b"extra").text().encode(),
        TlogProof.parse,
        ProofFileError,
        lambda proof: proof.text().encode(),
    ),
    "proof": Format(
        TlogProof(5, PATH, NOTE).text().encode(),
        lambda data: TlogProof.parse(text(data)).verify(published.NODES[0, 5]),
        ProofFileError,
    ),
    "policy": Format(POLICY.encode(), Policy.parse, PolicyError),
    "policy as text": Format(POLICY.encode(), lambda data: Policy.parse(text(data)), PolicyError),
    "note under a policy": Format(NOTE.encode(), Policy.parse(POLICY).open, PolicyError),
    "request": Format(
        AddCheckpoint(5, PATH, NOTE).body(),
        AddCheckpoint.parse,
        AddCheckpointError,
        lambda request: request.body(),
    ),
    "reply": Format(
        cosigned_body([WITNESS.cosign(CHECKPOINT, 5)]),
        parse_cosigned,
        AddCheckpointError,
        cosigned_body,
    ),
    "reply to a checkpoint": Format(
        cosigned_body([WITNESS.cosign(CHECKPOINT, 5)]),
        lambda data: open_cosigned(data, CHECKPOINT.text(), KEYS),
        AddCheckpointError,
    ),
    "size": Format(b"20852014\n", parse_size, AddCheckpointError),
    "bundle": Format(pack([b"", b"one", b"x" * 300]), unpack, BundleError, pack),
}

PIECES = (
    b"\n", b"\n\n", b" ", b"\t", b"\r\n", b"+", b"=", b"A", b"0", b"-1", b"9" * 30, b"\x00",
    b"\xff", b"\x7f", b"\xed\xa0\x80", "\N{EM DASH} ".encode(), "٣".encode(), "\u2028".encode(),
    "\u00a0".encode(), b"#", b"old 0\n", b"index 0\n", b"extra \n", b"quorum none\n",
    VKEY.encode(), NOTE.encode(), b"AAAA", b"AAAA" * 40,
)  # fmt: skip


def damaged(good: bytes, chance: random.Random) -> bytes:
    """The input after one to four accidents."""
    data = bytearray(good)
    for _ in range(chance.randrange(1, 5)):
        begin = chance.randrange(len(data) + 1)
        end = min(len(data), begin + chance.choice((1, 1, 2, 8, 50)))
        match chance.randrange(7):
            case 0 if begin < len(data):
                data[begin] ^= 1 << chance.randrange(8)
            case 1:
                del data[begin:end]
            case 2:
                data[begin:begin] = data[begin:end]
            case 3:
                data[begin:end] = chance.choice(PIECES)
            case 4:
                data[begin:begin] = chance.randbytes(chance.randrange(1, 9))
            case 5:
                lines = bytes(data).split(b"\n")
                chance.shuffle(lines)
                data = bytearray(b"\n".join(lines))
            case _:
                del data[begin:]
    return bytes(data)


def run(cases: int, seed: int) -> dict[str, int]:
    """How many damaged inputs of each format were read all the same."""
    chance = random.Random(seed)
    read_all_the_same = dict.fromkeys(FORMATS, 0)
    names = list(FORMATS)
    for number in range(cases):
        name = names[number % len(names)]
        form = FORMATS[name]
        data = damaged(form.good, chance)
        try:
            value = form.read(data)
        except form.error:
            continue
        except Exception as error:
            raise AssertionError(f"{name}: {data!r} raised {error!r}") from error
        read_all_the_same[name] += 1
        if form.reads_back is not None:
            # One meaning, one spelling: nothing is read that would be written otherwise.
            assert form.reads_back(value) == data, (name, data)
    return read_all_the_same


@pytest.mark.parametrize("name", FORMATS)
def test_the_undamaged_input_is_read(name):
    form = FORMATS[name]
    value = form.read(form.good)
    if form.reads_back is not None:
        assert form.reads_back(value) == form.good


def test_damaged_inputs_raise_nothing_but_their_formats_error():
    run(CASES, seed=1)


@pytest.mark.soak
def test_many_damaged_inputs_raise_nothing_but_their_formats_error():
    read = run(SOAK_CASES, seed=2)
    # The damage is not so great that readers only ever see garbage.
    assert min(read["checkpoint"], read["policy"], read["bundle"]) > 100
