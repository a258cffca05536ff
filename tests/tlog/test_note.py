"""Signed notes and checkpoints."""

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from smart_audit.tlog.checkpoint import Checkpoint, CheckpointError
from smart_audit.tlog.hashing import EMPTY_ROOT
from smart_audit.tlog.note import (
    Note,
    NoteError,
    NoteSignature,
    Signer,
    Verifier,
    open_note,
    parse,
    sign,
    verifier_key,
)

# The example of C2SP signed-note.
VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfX"
    "ppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
# The opening example of C2SP signed-note, whose text holds an empty line.
POEM = (
    "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n"
    "\n— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKON"
    "rMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
)
# The example of C2SP tlog-checkpoint.
SOFA = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    "\n— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5"
    "/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)

LOG = Signer("log.example/a", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER = Signer("other.example/b", Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
STRANGER = NoteSignature("stranger.example/c", b"\x01\x02\x03\x04", b"any bytes")


def rejected(data: bytes | str, *verifiers: Verifier) -> str:
    """Why the note does not open."""
    with pytest.raises(NoteError) as refusal:
        open_note(data, verifiers or (LOG.verifier,))
    return str(refusal.value)


def test_the_specifications_example_opens():
    note = open_note(NOTE.encode(), [Verifier.parse(VKEY)])
    assert note.text == "This is an example message.\n"
    assert note.verified == note.signatures
    assert note.verified[0].key_id.hex() == "530d903a"
    assert note.serialise() == NOTE


@pytest.mark.parametrize("example", [NOTE, POEM, SOFA])
def test_the_specifications_notes_are_written_as_they_were_read(example):
    assert parse(example).serialise() == example
    assert parse(example.encode()) == parse(example)


def test_the_text_may_hold_empty_lines():
    assert parse(POEM).text.endswith("sole:\n\ned è subito sera.\n")
    for text in ("\n", "\n\n", "a\n\n", "\na\n", "a\n\n— b\n"):
        assert open_note(sign(text, LOG).serialise(), [LOG.verifier]).text == text


def test_a_verifier_key_reads_back():
    vkey = verifier_key(LOG.name, LOG.private_key.public_key())
    assert vkey.startswith(f"log.example/a+{LOG.verifier.key_id.hex()}+A")
    assert Verifier.parse(vkey) == LOG.verifier
    example = Verifier.parse(VKEY)
    public = Ed25519PublicKey.from_public_bytes(example.public_key)
    assert verifier_key("example.com/foo", public) == VKEY


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "name+530d903a",
        VKEY.replace("530d903a", "530d903b"),
        VKEY.replace("530d903a", "530D903A"),
        VKEY.replace("530d903a", "530d903"),
        VKEY.replace("example.com/foo", "example.com/fop"),
        VKEY.replace("example.com/foo", ""),
        VKEY.replace("example.com/foo", "example.com foo"),
        VKEY.replace("+Aeky", "+Beky"),
        VKEY.replace("+Aeky", "+BOky"),
        VKEY[:-4],
        VKEY + "\n",
        VKEY + "=",
        VKEY[:-1] + "l",
    ],
)
def test_a_bad_verifier_key_is_refused(vkey):
    with pytest.raises(NoteError):
        Verifier.parse(vkey)


def test_unknown_signatures_are_ignored_and_kept():
    note = Note("text\n", (STRANGER, *sign("text\n", LOG, OTHER).signatures))
    opened = open_note(note.serialise(), [LOG.verifier])
    assert [signature.name for signature in opened.signatures] == [
        STRANGER.name,
        LOG.name,
        OTHER.name,
    ]
    assert [signature.name for signature in opened.verified] == [LOG.name]


@pytest.mark.parametrize("shared", ["name", "id"])
def test_a_key_that_shares_only_name_or_id_is_unknown(shared):
    if shared == "name":
        lookalike = NoteSignature(LOG.name, b"\x00\x01\x02\x03", b"bad")
    else:
        lookalike = NoteSignature("else.example", LOG.verifier.key_id, b"bad")
    good = sign("text\n", LOG).signatures
    assert (
        open_note(Note("text\n", (lookalike, *good)).serialise(), [LOG.verifier]).verified == good
    )
    assert "no signature of a known key" in rejected(Note("text\n", (lookalike,)).serialise())


def test_a_bad_signature_under_a_known_key_rejects_the_note():
    good = sign("text\n", LOG, OTHER)
    bad = NoteSignature(LOG.name, LOG.verifier.key_id, bytes(64))
    verifiers = LOG.verifier, OTHER.verifier
    for signatures in ((bad,), (bad, *good.signatures), (*good.signatures, bad)):
        message = rejected(Note("text\n", signatures).serialise(), *verifiers)
        assert message == "the signature of log.example/a is not valid"


def test_a_note_that_nobody_known_signed_is_rejected():
    assert "no signature" in rejected(sign("text\n", OTHER).serialise())
    with pytest.raises(NoteError, match="no signature"):
        open_note(sign("text\n", LOG).serialise(), [])


def test_a_signature_given_twice_is_counted_once():
    signatures = sign("text\n", LOG).signatures
    opened = open_note(Note("text\n", signatures * 2).serialise(), [LOG.verifier] * 2)
    assert opened.verified == signatures
    assert len(opened.signatures) == 2


def test_two_known_keys_of_one_name_and_id_are_refused(monkeypatch):
    twin = Verifier(LOG.name, OTHER.verifier.public_key)
    monkeypatch.setattr(Verifier, "key_id", property(lambda _: b"same"))
    assert "share the name" in rejected("", LOG.verifier, twin)


@settings(deadline=None)
@given(bit=st.integers(0, len(NOTE.encode()) * 8 - 1))
def test_one_flipped_bit_anywhere_rejects_the_note(bit):
    data = bytearray(NOTE.encode())
    data[bit // 8] ^= 1 << (bit % 8)
    with pytest.raises(NoteError):
        open_note(bytes(data), [Verifier.parse(VKEY)])


def test_every_flipped_byte_rejects_a_checkpoint():
    whole = sign(Checkpoint("log.example/a", 5, bytes(32)).text(), LOG).serialise().encode()
    open_note(whole, [LOG.verifier])
    for position in range(len(whole)):
        data = bytearray(whole)
        data[position] ^= 0xFF
        with pytest.raises(NoteError):
            open_note(bytes(data), [LOG.verifier])


LINE = sign("text\n", LOG).signatures[0].line()


@pytest.mark.parametrize(
    "data",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n" + LINE,
        "\n" + LINE,
        "text\n\n" + LINE[:-1],
        "text\n\n" + LINE + "\n",
        "text\n\n" + LINE + "more\n",
        "text\r\n\r\n" + LINE,
        "te\x00xt\n\n" + LINE,
        "te\txt\n\n" + LINE,
        "text\n\n" + LINE.replace("— ", "- "),
        "text\n\n" + LINE.replace("— ", "—"),
        "text\n\n" + LINE.replace("log.example/a", ""),
        "text\n\n" + LINE.replace("log.example/a", "log+a"),
        "text\n\n" + LINE.replace("log.example/a", "log\u00a0a"),
        "text\n\n" + LINE.replace("log.example/a ", "log.example/a  "),
        "text\n\n" + LINE.replace("log.example/a ", "log.example/a"),
        "text\n\n" + LINE.replace("\n", " \n"),
        "text\n\n" + LINE.replace("=", ""),
        "text\n\n— log.example/a AAAAAA==\n",
        "text\n\n— log.example/a AAAAAAE\n",
        "te\ud800xt\n\n" + LINE,
        b"te\xffxt\n\n" + LINE.encode(),
    ],
)
def test_what_is_not_a_note_is_refused(data):
    with pytest.raises(NoteError):
        parse(data)


def test_trailing_bits_of_base64_must_be_zero():
    altered = parse(NOTE).signatures[0].line().replace("aQM=", "aQN=")
    assert NOTE.endswith("aQM=\n")
    with pytest.raises(NoteError, match="canonical"):
        parse("This is an example message.\n\n" + altered)


def test_a_hundred_signatures_are_read_and_more_are_not():
    own = sign("text\n", LOG).signatures
    full = Note("text\n", own + (STRANGER,) * 99)
    assert len(open_note(full.serialise(), [LOG.verifier]).signatures) == 100
    assert "101 signatures" in rejected(Note("text\n", own + (STRANGER,) * 100).serialise())


def test_a_note_of_a_million_bytes_is_read_and_a_longer_one_is_not():
    overhead = len(sign("\n", LOG).serialise().encode())
    largest = sign("x" * (1_000_000 - overhead) + "\n", LOG).serialise()
    assert len(largest.encode()) == 1_000_000
    open_note(largest, [LOG.verifier])
    longer = sign("x" * (1_000_001 - overhead) + "\n", LOG).serialise()
    assert "more than 1000000" in rejected(longer)


@pytest.mark.parametrize("text", ["", "no newline", "tab\t\n", "bell\x07\n", "cr\r\n", "\ud800\n"])
def test_a_text_that_cannot_be_a_note_is_not_signed(text):
    with pytest.raises(NoteError):
        sign(text, LOG)


def test_a_note_has_a_signer():
    with pytest.raises(NoteError, match="needs a signature"):
        sign("text\n")


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "a\nb", "a\x00b", "\ud800"])
def test_a_bad_key_name_is_refused(name):
    with pytest.raises(NoteError):
        Signer(name, LOG.private_key)
    with pytest.raises(NoteError):
        Verifier(name, LOG.verifier.public_key)


def test_a_key_of_the_wrong_length_is_refused():
    with pytest.raises(NoteError, match="32 bytes"):
        Verifier("name", b"short")


def test_the_example_checkpoint_is_read():
    checkpoint = Checkpoint.parse(parse(SOFA).text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.root.hex().startswith("0ac5186a91863e8e")
    assert checkpoint.text() == parse(SOFA).text


@given(
    size=st.integers(0, 2**64 - 1),
    root=st.binary(min_size=32, max_size=32),
    extensions=st.lists(
        st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1)
    ),
)
def test_a_checkpoint_reads_back(size, root, extensions):
    checkpoint = Checkpoint("log.example/é", size, root, tuple(extensions))
    assert Checkpoint.parse(checkpoint.text()) == checkpoint
    assert Checkpoint.parse(
        open_note(sign(checkpoint.text(), LOG).serialise(), [LOG.verifier]).text
    ) == (checkpoint)


ROOT = b64encode(EMPTY_ROOT).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "origin\n0\n",
        f"origin\n0\n{ROOT}",
        f"origin\n0\n{ROOT}\n\n",
        f"origin\n0\n{ROOT}\n\nextension\n",
        f"\n0\n{ROOT}\n",
        f"origin\n\n{ROOT}\n",
        f"origin\n00\n{ROOT}\n",
        f"origin\n01\n{ROOT}\n",
        f"origin\n+1\n{ROOT}\n",
        f"origin\n-1\n{ROOT}\n",
        f"origin\n 1\n{ROOT}\n",
        f"origin\n1_0\n{ROOT}\n",
        f"origin\n0x1\n{ROOT}\n",
        f"origin\n١\n{ROOT}\n",
        f"origin\n{2**64}\n{ROOT}\n",
        f"origin\n{'9' * 5000}\n{ROOT}\n",
        f"origin\r\n0\r\n{ROOT}\r\n",
        f"ori\tgin\n0\n{ROOT}\n",
        f"origin\n0\n{ROOT[:-1]}\n",
        f"origin\n0\n{ROOT} \n",
        f"origin\n0\n{ROOT.replace('FU=', 'FV=')}\n",
        f"origin\n0\n{b64encode(bytes(31)).decode()}\n",
        f"origin\n0\n{b64encode(bytes(33)).decode()}\n",
        "origin\n0\n\n",
    ],
)
def test_what_is_not_a_checkpoint_is_refused(text):
    assert ROOT.endswith("FU=")
    with pytest.raises(CheckpointError):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    ("origin", "size", "root", "extensions"),
    [
        ("", 0, EMPTY_ROOT, ()),
        ("a\nb", 0, EMPTY_ROOT, ()),
        ("a", -1, EMPTY_ROOT, ()),
        ("a", 2**64, EMPTY_ROOT, ()),
        ("a", 0, b"short", ()),
        ("a", 0, EMPTY_ROOT, ("",)),
        ("a", 0, EMPTY_ROOT, ("b\nc",)),
    ],
)
def test_a_checkpoint_that_cannot_be_written_is_refused(origin, size, root, extensions):
    with pytest.raises(CheckpointError):
        Checkpoint(origin, size, root, extensions)
