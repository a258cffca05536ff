"""Signed notes: a text, and below it the signatures of those who vouch for it.

    text, one or more lines
    <blank line>
    — <key name> <base64 of key id (4 bytes) and signature>

Only Ed25519 (signature type 0x01) is signed and verified here. Signatures of other types, such
as witnesses' cosignatures, are kept and count as made by unknown keys.

Source: C2SP signed-note; RFC 8032 for Ed25519.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

ED25519: Final = b"\x01"
KEY_ID_SIZE: Final = 4  # bytes
PUBLIC_KEY_SIZE: Final = 32  # bytes
MAX_NOTE_SIZE: Final = 1_000_000  # bytes
# The specification asks for at least 16; a hundred post-quantum ones fit the size above.
MAX_SIGNATURES: Final = 100

_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_HEX_KEY_ID: Final = re.compile(r"[0-9a-f]{8}")
_SIGNATURE_START: Final = "\N{EM DASH} "


class NoteError(ValueError):
    """A note or a key that must not be trusted; the message says why."""


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line. key_id: 4 bytes; signature: as long as its type has it."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        """The line in the note, ended by a newline."""
        encoded = b64encode(self.key_id + self.signature).decode()
        return f"{_SIGNATURE_START}{self.name} {encoded}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text and its signatures.

    text: ends with a newline; the blank line below it is not part of it.
    signatures: all lines of the note, in their order.
    verified: those which `open_note` checked against a known key, one per key.
    """

    text: str
    signatures: tuple[NoteSignature, ...]
    verified: tuple[NoteSignature, ...] = ()

    def serialise(self) -> str:
        """The whole note, as it is stored and served in UTF-8."""
        return f"{self.text}\n" + "".join(signature.line() for signature in self.signatures)


@dataclass(frozen=True, slots=True)
class Verifier:
    """A known key. name: not empty, without spaces and "+"; public_key: 32 bytes, Ed25519.

    Raises: NoteError for a bad name or key.
    """

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        _require_name(self.name)
        if len(self.public_key) != PUBLIC_KEY_SIZE:
            raise NoteError(f"the key of {self.name} is not {PUBLIC_KEY_SIZE} bytes long")

    @classmethod
    def parse(cls, verifier_key: str) -> "Verifier":
        """Read a verifier key ("vkey"): name+hex(key id)+base64(type and public key).

        Raises: NoteError for any other type than Ed25519, and for an id that is not the key's.
        """
        name, id_plus, rest = verifier_key.partition("+")
        key_id, key_plus, encoded = rest.partition("+")
        if not id_plus or not key_plus or not _HEX_KEY_ID.fullmatch(key_id):
            raise NoteError(f"{verifier_key!r} is not a verifier key")
        key = _decode_base64(encoded)
        if key[:1] != ED25519:
            raise NoteError(f"the verifier key of {name!r} is not of type Ed25519")
        verifier = cls(name, key[1:])
        if verifier.key_id.hex() != key_id:
            raise NoteError(f"the key id of {name} is {verifier.key_id.hex()}, not {key_id}")
        return verifier

    @property
    def key_id(self) -> bytes:
        """4 bytes, the start of SHA-256 over name, newline, type, public key."""
        hashed = sha256(self.name.encode() + b"\n" + ED25519 + self.public_key)
        return hashed.digest()[:KEY_ID_SIZE]

    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether this key made the signature over the text."""
        try:
            key = Ed25519PublicKey.from_public_bytes(self.public_key)
            key.verify(signature, text.encode())
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """A key to sign with, under a name.

    Raises: NoteError for a bad name.
    """

    name: str
    private_key: Ed25519PrivateKey

    def __post_init__(self) -> None:
        _require_name(self.name)

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        return Verifier(self.name, self.private_key.public_key().public_bytes_raw())

    def sign(self, text: str) -> NoteSignature:
        """Sign the text, final newline included.

        Raises: NoteError when the text cannot be a note's.
        """
        _require_text(text)
        signature = self.private_key.sign(text.encode())
        return NoteSignature(self.name, self.verifier.key_id, signature)


def sign(text: str, *signers: Signer) -> Note:
    """A note with the text, signed by each signer in turn.

    Raises: NoteError when the text cannot be a note's, or nobody signs.
    """
    if not signers:
        raise NoteError("a note needs a signature")
    return Note(text, tuple(signer.sign(text) for signer in signers))


def verifier_key(name: str, public_key: Ed25519PublicKey) -> str:
    """The verifier key ("vkey") that `Verifier.parse` reads.

    Raises: NoteError for a bad name.
    """
    verifier = Verifier(name, public_key.public_bytes_raw())
    encoded = b64encode(ED25519 + verifier.public_key).decode()
    return f"{name}+{verifier.key_id.hex()}+{encoded}"


def parse(data: bytes | str) -> Note:
    """Take a note apart and verify nothing: its text is not to be trusted.

    Raises: NoteError for what is not a note, is over 1,000,000 bytes or over 100 signatures.
    """
    raw = _encode(data) if isinstance(data, str) else data
    if len(raw) > MAX_NOTE_SIZE:
        raise NoteError(f"the note has {len(raw)} bytes, more than {MAX_NOTE_SIZE}")
    try:
        whole = raw.decode()
    except UnicodeDecodeError as error:
        raise NoteError("the note is not valid UTF-8") from error
    # The text may hold empty lines of its own: the last one in the note ends it.
    above, blank, below = whole.rpartition("\n\n")
    if not blank:
        raise NoteError("the note has no blank line above its signatures")
    text = f"{above}\n"
    _require_text(text)
    lines = below.split("\n")
    if lines.pop() != "" or not lines:
        raise NoteError("the note does not end with a signature line")
    if len(lines) > MAX_SIGNATURES:
        raise NoteError(f"the note has {len(lines)} signatures, more than {MAX_SIGNATURES}")
    return Note(text, tuple(_parse_signature(line) for line in lines))


def open_note(data: bytes | str, verifiers: Iterable[Verifier]) -> Note:
    """Take a note apart and verify it by the keys that are known.

    Signatures of unknown keys are ignored. One bad signature under a known key rejects the
    note, and so does the absence of a good one.

    Raises: NoteError.
    """
    known: dict[tuple[str, bytes], Verifier] = {}
    for verifier in verifiers:
        # Two keys under one name and id: a good signature of one looks bad under the other.
        if known.setdefault((verifier.name, verifier.key_id), verifier) != verifier:
            raise NoteError(f"two known keys share the name {verifier.name} and their id")
    note = parse(data)
    verified: dict[Verifier, NoteSignature] = {}
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is None:
            continue
        if not key.verifies(note.text, signature.signature):
            raise NoteError(f"the signature of {signature.name} is not valid")
        verified[key] = signature
    if not verified:
        raise NoteError("the note has no signature of a known key")
    return replace(note, verified=tuple(verified.values()))


def _parse_signature(line: str) -> NoteSignature:
    if not line.startswith(_SIGNATURE_START):
        raise NoteError(f"{line!r} is not a signature line")
    name, _, encoded = line.removeprefix(_SIGNATURE_START).partition(" ")
    _require_name(name)
    decoded = _decode_base64(encoded)
    if len(decoded) <= KEY_ID_SIZE:
        raise NoteError(f"the signature of {name} is empty")
    return NoteSignature(name, decoded[:KEY_ID_SIZE], decoded[KEY_ID_SIZE:])


def _require_text(text: str) -> None:
    if not text.endswith("\n"):
        raise NoteError("the text does not end with a newline")
    if _CONTROL.search(text):
        raise NoteError("the text has a control character")
    _encode(text)


def _require_name(name: str) -> None:
    if not name or "+" in name or any(c.isspace() or c < " " for c in name):
        raise NoteError(f"{name!r} is not a key name")
    _encode(name)


def _encode(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise NoteError("a lone surrogate has no UTF-8") from error


def _decode_base64(encoded: str) -> bytes:
    try:
        decoded = b64decode(encoded, validate=True)
    except (Base64Error, ValueError) as error:
        raise NoteError(f"{encoded!r} is not base64") from error
    # Base64 leaves bits over at the end: several spellings decode to the same bytes.
    if b64encode(decoded).decode() != encoded:
        raise NoteError(f"{encoded!r} is not canonical base64")
    return decoded
