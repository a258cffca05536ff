"""Requests to a witness, and its replies."""

from base64 import b64encode
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smart_audit.tlog.add_checkpoint import (
    MAX_REQUEST_SIZE,
    AddCheckpoint,
    AddCheckpointError,
    cosigned_body,
    open_cosigned,
    parse_cosigned,
    parse_size,
    size_body,
)
from smart_audit.tlog.checkpoint import Checkpoint
from smart_audit.tlog.cosignature import Cosigner
from smart_audit.tlog.note import NoteSignature, Signer, sign

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LOG = Signer("log.example/a", Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
CHECKPOINT = Checkpoint(LOG.name, 9, b"r" * 32)
NOTE = sign(CHECKPOINT.text(), LOG).serialise()
REQUEST = AddCheckpoint(8, (b"a" * 32, b"b" * 32), NOTE)
BODY = REQUEST.body().decode()
HASH = b64encode(b"a" * 32).decode()

# The example of C2SP tlog-witness.
EXAMPLE = """\
old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
"""  # noqa: E501  (lines of the format are as long as they are)
EXAMPLE_REPLY = """\
— witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/gj79sG+T6+iP2ThYN5krrDJbR1HDnucjL39QsZTSvVjyQLrdk3DXDqI5G2HgLatVs0pWh6Up69HVOw==
— witness.example/w1 I7rEps0pvK2UqkS2gSpVUDhrhVtQV9lgF6pRrWAvjJHjyWpW7VcE3SiOlVlbQNt64vWhO+DlkL0+UfzuOBMh9ChdMkP1vi/lCAsmlw==
— witness.example/w2 AWui8Sk55XjYLOijihBjhqEH6nS1ndDymE0a+6idX7pLcnoB+dhnz0854aLZgrrKbYKA7nC3HNJhm/kWl7oJlqU3rXXvpysAdyP3wQ==
"""  # noqa: E501


def test_the_specifications_request_reads_back():
    request = AddCheckpoint.parse(EXAMPLE.encode())
    assert request.body() == EXAMPLE.encode()
    assert (request.old_size, len(request.path), request.checkpoint.size) == (
        20852014,
        4,
        20852163,
    )


def test_the_specifications_reply_reads_back():
    signatures = parse_cosigned(EXAMPLE_REPLY.encode())
    assert [line.name for line in signatures] == [
        "witness.example/w1",
        "witness.example/w1",
        "witness.example/w2",
    ]
    assert cosigned_body(signatures) == EXAMPLE_REPLY.encode()


@pytest.mark.parametrize("old_size", [0, 8, 2**64 - 1])
@pytest.mark.parametrize("hashes", [0, 1, 63])
def test_a_request_reads_back(old_size, hashes):
    request = AddCheckpoint(old_size, (b"h" * 32,) * hashes, NOTE)
    assert AddCheckpoint.parse(request.body()) == request


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("old 8\n", ""),
        ("old 8", "old 08"),
        ("old 8", "old -8"),
        ("old 8", "old  8"),
        ("old 8", "old 8 "),
        ("old 8", "old"),
        ("old 8", "old ٨"),
        ("old 8", f"old {2**64}"),
        ("old 8", f"old {'9' * 5000}"),
        ("old 8\n", "old 8\r\n"),
        ("old 8", "Old 8"),
        ("old 8\n", "old 8\n\n"),
        (HASH, HASH[:-1]),
        (HASH, "YQ=="),
        (HASH, f"{HASH} "),
        (f"{HASH}\n", f"{HASH}\n" * 63),
        ("\n\nlog", "\nlog"),
        (NOTE, ""),
        (NOTE, NOTE[:-1]),
        (NOTE, f"\n{NOTE}"),
        (f"{LOG.name}\n9\n", f"{LOG.name}\n09\n"),
        (CHECKPOINT.text(), "no checkpoint\n"),
    ],
)
def test_what_is_not_a_request_is_refused(old, new):
    assert BODY.count(old) == 1
    with pytest.raises(AddCheckpointError):
        AddCheckpoint.parse(BODY.replace(old, new).encode())


@pytest.mark.parametrize("body", [b"", b"\n\n", b"\xff", b"old 0\n\n", b"old 0" * 100_000])
def test_garbage_is_refused(body):
    with pytest.raises(AddCheckpointError):
        AddCheckpoint.parse(body)


def test_a_note_with_many_signatures_fits_and_a_longer_body_does_not():
    post_quantum = NoteSignature("witness.example/pq", b"\x00\x01\x02\x03", bytes(2428))
    note = replace(sign(CHECKPOINT.text(), LOG), signatures=(post_quantum,) * 60).serialise()
    AddCheckpoint.parse(AddCheckpoint(8, (b"h" * 32,) * 63, note).body())
    with pytest.raises(AddCheckpointError, match=f"more than {MAX_REQUEST_SIZE}"):
        AddCheckpoint.parse(b"x" * (MAX_REQUEST_SIZE + 1))


@pytest.mark.parametrize(
    "change",
    [
        {"old_size": -1},
        {"old_size": 2**64},
        {"path": (b"short",)},
        {"path": (b"h" * 32,) * 64},
        {"note": ""},
        {"note": "\ud800"},
    ],
)
def test_a_request_that_cannot_be_written_is_refused(change):
    with pytest.raises(AddCheckpointError):
        replace(REQUEST, **change)


def test_a_reply_is_opened_by_the_known_witnesses():
    one, two = Cosigner("w.example/1", KEY), Cosigner("w.example/2", LOG.private_key)
    lines = [witness.cosign(CHECKPOINT, 5) for witness in (one, two)]
    body = cosigned_body(lines)
    assert open_cosigned(body, CHECKPOINT.text(), [one.verifier]) == (lines[0],)
    both = [one.verifier, two.verifier]
    assert open_cosigned(body, CHECKPOINT.text(), both) == tuple(lines)
    stranger = Cosigner("w.example/3", KEY).verifier
    with pytest.raises(AddCheckpointError, match="no signature of a known key"):
        open_cosigned(body, CHECKPOINT.text(), [stranger])
    with pytest.raises(AddCheckpointError, match="not valid"):
        open_cosigned(body, replace(CHECKPOINT, size=10).text(), [one.verifier])


LINE = cosigned_body([Cosigner("w.example/1", KEY).cosign(CHECKPOINT, 5)]).decode()


@pytest.mark.parametrize(
    "body",
    ["", "\n", LINE[:-1], f"{LINE}\n", f"\n{LINE}", f"text\n\n{LINE}", f"x{LINE}", LINE * 101],
)
def test_what_is_not_a_reply_is_refused(body):
    with pytest.raises(AddCheckpointError):
        parse_cosigned(body.encode())
    with pytest.raises(AddCheckpointError):
        open_cosigned(body.encode(), CHECKPOINT.text(), [Cosigner("w.example/1", KEY).verifier])


def test_a_reply_has_a_signature_and_is_utf8():
    with pytest.raises(AddCheckpointError, match="at least one"):
        cosigned_body([])
    with pytest.raises(AddCheckpointError, match="UTF-8"):
        parse_cosigned(b"\xff\n")


@pytest.mark.parametrize("size", [0, 1, 20852014, 2**64 - 1])
def test_a_size_reads_back(size):
    assert parse_size(size_body(size)) == size


@pytest.mark.parametrize(
    "body", [b"", b"1", b"01\n", b"-1\n", b"1\n\n", b" 1\n", b"1\r\n", b"%d\n" % 2**64, b"\xff\n"]
)
def test_what_is_not_a_size_is_refused(body):
    with pytest.raises(AddCheckpointError):
        parse_size(body)
