"""Signed notes: a text, and below it the signatures of those who vouch for it.

    text, one or more lines
    <blank line>
    — <key name> <base64 of key id (4 bytes) and signature>

Plain Ed25519 (signature type 0x01) is signed and verified here, witnesses' cosignatures in
`cosignature`; `open_note` takes the keys of both. Signatures of other types are kept and count
as made by unknown keys.

Source: C2SP signed-note; RFC 8032 for Ed25519.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final, Protocol

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

    @classmethod
    def parse(cls, line: str) -> "NoteSignature":
        """Read a signature line, given without its newline.

        Raises: NoteError.
        """
        if not line.startswith(_SIGNATURE_START):
            raise NoteError(f"{line!r} is not a signature line")
        name, _, encoded = line.removeprefix(_SIGNATURE_START).partition(" ")
        require_name(name)
        decoded = decode_base64(encoded)
        if len(decoded) <= KEY_ID_SIZE:
            raise NoteError(f"the signature of {name} is empty")
        return cls(name, decoded[:KEY_ID_SIZE], decoded[KEY_ID_SIZE:])


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


class NoteVerifier(Protocol):
    """A known key of any signature type: what `open_note` asks of it."""

    @property
    def name(self) -> str:
        """The key's name, as it stands in signature lines."""
        ...

    @property
    def key_id(self) -> bytes:
        """4 bytes; name and id together choose the key that checks a signature."""
        ...

    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether this key made the signature (key id excluded) for the text."""
        ...


@dataclass(frozen=True, slots=True)
class Verifier:
    """A known key. name: not empty, without spaces and "+"; public_key: 32 bytes, Ed25519.

    Raises: NoteError for a bad name or key.
    """

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        require_key(self.name, self.public_key)

    @classmethod
    def parse(cls, verifier_key: str) -> "Verifier":
        """Read a verifier key ("vkey"): name+hex(key id)+base64(type and public key).

        Raises: NoteError for any other type than Ed25519, and for an id that is not the key's.
        """
        return cls(*read_verifier_key(verifier_key, ED25519))

    @property
    def key_id(self) -> bytes:
        """4 bytes, the start of SHA-256 over name, newline, type, public key."""
        return key_id(self.name, ED25519, self.public_key)

    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether this key made the signature over the text."""
        return ed25519_verifies(self.public_key, signature, text)


@dataclass(frozen=True, slots=True)
class Signer:
    """A key to sign with, under a name.

    Raises: NoteError for a bad name.
    """

    name: str
    private_key: Ed25519PrivateKey

    def __post_init__(self) -> None:
        require_name(self.name)

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
    return write_verifier_key(name, ED25519, public_key.public_bytes_raw())


def key_id(name: str, kind: bytes, public_key: bytes) -> bytes:
    """4 bytes, the start of SHA-256 over name, newline, signature type (1 byte), public key."""
    return sha256(name.encode() + b"\n" + kind + public_key).digest()[:KEY_ID_SIZE]


def write_verifier_key(name: str, kind: bytes, public_key: bytes) -> str:
    """The verifier key of a signature type: name+hex(key id)+base64(type and public key).

    Raises: NoteError for a bad name or key.
    """
    require_key(name, public_key)
    encoded = b64encode(kind + public_key).decode()
    return f"{name}+{key_id(name, kind, public_key).hex()}+{encoded}"


def read_verifier_key(text: str, kind: bytes) -> tuple[str, bytes]:
    """The name and the public key, 32 bytes, in a verifier key of this signature type.

    Raises: NoteError for any other type, and for an id that is not the key's.
    """
    name, id_plus, rest = text.partition("+")
    claimed_id, key_plus, encoded = rest.partition("+")
    if not id_plus or not key_plus or not _HEX_KEY_ID.fullmatch(claimed_id):
        raise NoteError(f"{text!r} is not a verifier key")
    key = decode_base64(encoded)
    if key[:1] != kind:
        raise NoteError(f"the verifier key of {name!r} is not of type 0x{kind.hex()}")
    public_key = key[1:]
    require_key(name, public_key)
    computed_id = key_id(name, kind, public_key).hex()
    if computed_id != claimed_id:
        raise NoteError(f"the key id of {name} is {computed_id}, not {claimed_id}")
    return name, public_key


def require_key(name: str, public_key: bytes) -> None:
    """Refuse what cannot be a known Ed25519 key.

    Raises: NoteError for a bad name, or a key that is not 32 bytes long.
    """
    require_name(name)
    if len(public_key) != PUBLIC_KEY_SIZE:
        raise NoteError(f"the key of {name} is not {PUBLIC_KEY_SIZE} bytes long")


def ed25519_verifies(public_key: bytes, signature: bytes, message: str) -> bool:
    """Whether the key, 32 bytes, made the signature over the message in UTF-8.

    Source: RFC 8032.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


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
    return Note(text, tuple(NoteSignature.parse(line) for line in lines))


def open_note(data: bytes | str, verifiers: Iterable[NoteVerifier]) -> Note:
    """Take a note apart and verify it by the keys that are known.

    Signatures of unknown keys are ignored. One bad signature under a known key rejects the
    note, and so does the absence of a good one.

    Raises: NoteError.
    """
    known: dict[tuple[str, bytes], NoteVerifier] = {}
    for verifier in verifiers:
        # Two keys under one name and id: a good signature of one looks bad under the other.
        if known.setdefault((verifier.name, verifier.key_id), verifier) != verifier:
            raise NoteError(f"two known keys share the name {verifier.name} and their id")
    note = parse(data)
    verified: dict[tuple[str, bytes], NoteSignature] = {}
    for signature in note.signatures:
        maker = signature.name, signature.key_id
        key = known.get(maker)
        if key is None:
            continue
        if not key.verifies(note.text, signature.signature):
            raise NoteError(f"the signature of {signature.name} is not valid")
        verified[maker] = signature
    if not verified:
        raise NoteError("the note has no signature of a known key")
    return replace(note, verified=tuple(verified.values()))


def _require_text(text: str) -> None:
    if not text.endswith("\n"):
        raise NoteError("the text does not end with a newline")
    if _CONTROL.search(text):
        raise NoteError("the text has a control character")
    _encode(text)


def require_name(name: str) -> None:
    """Refuse what cannot be a key's name.

    Raises: NoteError for an empty name, and for one with spaces, "+" or control characters.
    """
    if not name or "+" in name or any(c.isspace() or c < " " for c in name):
        raise NoteError(f"{name!r} is not a key name")
    _encode(name)


def _encode(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise NoteError("a lone surrogate has no UTF-8") from error


def decode_base64(encoded: str) -> bytes:
    """Read standard base64, in its one canonical spelling.

    Raises: NoteError.
    Source: RFC 4648, section 4.
    """
    try:
        decoded = b64decode(encoded, validate=True)
    except (Base64Error, ValueError) as error:
        raise NoteError(f"{encoded!r} is not base64") from error
    # Base64 leaves bits over at the end: several spellings decode to the same bytes.
    if b64encode(decoded).decode() != encoded:
        raise NoteError(f"{encoded!r} is not canonical base64")
    return decoded
