"""Cosignatures of witnesses, alone and beside the log's own signature."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smart_audit.tlog.checkpoint import Checkpoint
from smart_audit.tlog.cosignature import (
    MAX_TIMESTAMP,
    CosignatureVerifier,
    Cosigner,
    cosigned_at,
)
from smart_audit.tlog.note import (
    Note,
    NoteError,
    NoteSignature,
    Signer,
    Verifier,
    open_note,
    sign,
    verifier_key,
)

AT = 1_679_315_147
SOFA = Checkpoint.parse(
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
WITNESS = Cosigner("witness.example/w1", KEY)
LOG = Signer(SOFA.origin, Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))

# Made by filippo.io/torchwood v0.9.0 with the same key, name and checkpoint.
TORCHWOOD_VKEY = "witness.example/w1+e75f6532+BAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
TORCHWOOD_LINE = (
    "— witness.example/w1 519lMgAAAABrBde/0d1F0i2iwx09oBOukGUFNpRdCEpesNp+xbU5MoSR8NLJunrTuynE2ZiG"
    "17zMnsjHSG1pLw7PUyBq/NqL5fz+BA=="
)
# Witnesses that publish their keys.
PUBLIC_WITNESSES = [
    "witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv",
    "witness.navigli.sunlight.geomys.org+a3e00fe2+BNy/co4C1Hn1p+INwJrfUlgz7W55dSZReusH/GhUhJ/G",
    (
        "transparency.dev/DEV:witness-little-garden+d8042a87"
        "+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM"
    ),
]


def cosigned(*witnesses: Cosigner, checkpoint: Checkpoint = SOFA) -> Note:
    note = sign(checkpoint.text(), LOG)
    lines = [witness.cosign(checkpoint, AT) for witness in witnesses]
    return replace(note, signatures=(*note.signatures, *lines))


def test_another_implementations_cosignature_is_made_again_and_verified():
    theirs = NoteSignature.parse(TORCHWOOD_LINE)
    verifier = CosignatureVerifier.parse(TORCHWOOD_VKEY)
    at = verifier.verify(SOFA.text(), theirs.signature)
    assert at == cosigned_at(theirs.signature)
    assert WITNESS.cosign(SOFA, at) == theirs
    assert WITNESS.cosign(SOFA, at).line() == f"{TORCHWOOD_LINE}\n"
    assert WITNESS.verifier.verifier_key == TORCHWOOD_VKEY


def test_the_specifications_message_is_what_is_signed():
    line = WITNESS.cosign(SOFA, AT)
    message = (
        "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n"
        "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )
    assert line.signature == AT.to_bytes(8, "big") + KEY.sign(message.encode())


@pytest.mark.parametrize("vkey", [TORCHWOOD_VKEY, *PUBLIC_WITNESSES])
def test_published_verifier_keys_read_back(vkey):
    assert CosignatureVerifier.parse(vkey).verifier_key == vkey


def test_one_key_has_another_id_as_a_cosigner():
    assert WITNESS.verifier.key_id != Verifier(WITNESS.name, WITNESS.verifier.public_key).key_id


def test_verifier_keys_of_other_types_are_refused():
    plain = verifier_key(WITNESS.name, KEY.public_key())
    with pytest.raises(NoteError, match="not of type 0x04"):
        CosignatureVerifier.parse(plain)
    with pytest.raises(NoteError, match="not of type 0x01"):
        Verifier.parse(TORCHWOOD_VKEY)


@pytest.mark.parametrize(
    "vkey",
    ["", "a+b", TORCHWOOD_VKEY[:-4], TORCHWOOD_VKEY.replace("e75f6532", "e75f6533")],
)
def test_what_is_not_a_verifier_key_is_refused(vkey):
    with pytest.raises(NoteError):
        CosignatureVerifier.parse(vkey)


def test_log_and_witnesses_are_verified_together():
    other = Cosigner("witness.example/w2", LOG.private_key)
    note = cosigned(WITNESS, other)
    opened = open_note(note.serialise(), [LOG.verifier, WITNESS.verifier, other.verifier])
    assert opened.verified == note.signatures
    assert [cosigned_at(line.signature) for line in opened.verified[1:]] == [AT, AT]


def test_an_unknown_witness_is_ignored():
    opened = open_note(cosigned(WITNESS).serialise(), [LOG.verifier])
    assert [line.name for line in opened.verified] == [LOG.name]


def test_one_bad_cosignature_of_a_known_witness_rejects_the_note():
    good = cosigned(WITNESS)
    bad = replace(good.signatures[1], signature=AT.to_bytes(8, "big") + bytes(64))
    note = Note(good.text, (good.signatures[0], bad))
    open_note(note.serialise(), [LOG.verifier])
    with pytest.raises(NoteError, match=r"witness.example/w1 is not valid"):
        open_note(note.serialise(), [LOG.verifier, WITNESS.verifier])


def test_every_bit_of_time_and_signature_counts():
    signature = WITNESS.cosign(SOFA, AT).signature
    for place in range(len(signature)):
        changed = bytearray(signature)
        changed[place] ^= 1
        assert not WITNESS.verifier.verifies(SOFA.text(), bytes(changed))


def test_extension_lines_are_cosigned():
    extended = replace(SOFA, extensions=("more",))
    signature = WITNESS.cosign(extended, AT).signature
    assert WITNESS.verifier.verify(extended.text(), signature) == AT
    assert not WITNESS.verifier.verifies(SOFA.text(), signature)


def test_a_plain_signature_is_no_cosignature_nor_the_reverse():
    plain = Signer(WITNESS.name, KEY).sign(SOFA.text())
    assert not WITNESS.verifier.verifies(SOFA.text(), plain.signature)
    stamped = WITNESS.cosign(SOFA, AT).signature
    assert not Signer(WITNESS.name, KEY).verifier.verifies(SOFA.text(), stamped[8:])


@pytest.mark.parametrize("at", [0, -1, MAX_TIMESTAMP + 1])
def test_a_time_that_cannot_be_stated_is_refused(at):
    with pytest.raises(NoteError, match="time of a cosignature"):
        WITNESS.cosign(SOFA, at)


def test_the_last_possible_time_is_stated_and_one_beyond_is_refused():
    signature = WITNESS.cosign(SOFA, MAX_TIMESTAMP).signature
    assert WITNESS.verifier.verify(SOFA.text(), signature) == MAX_TIMESTAMP
    with pytest.raises(NoteError, match="is more than"):
        cosigned_at((MAX_TIMESTAMP + 1).to_bytes(8, "big") + bytes(64))


@pytest.mark.parametrize("length", [0, 8, 64, 71, 73])
def test_a_signature_of_another_length_is_refused(length):
    with pytest.raises(NoteError, match="72 bytes"):
        WITNESS.verifier.verify(SOFA.text(), bytes(length))


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb"])
def test_a_bad_name_is_refused(name):
    with pytest.raises(NoteError):
        Cosigner(name, KEY)
    with pytest.raises(NoteError):
        CosignatureVerifier(name, bytes(32))


def test_a_text_without_utf8_is_neither_signed_nor_verified():
    lone = replace(SOFA, extensions=("\ud800",))
    with pytest.raises(NoteError, match="surrogate"):
        WITNESS.cosign(lone, AT)
    assert not WITNESS.verifier.verifies(lone.text(), WITNESS.cosign(SOFA, AT).signature)
