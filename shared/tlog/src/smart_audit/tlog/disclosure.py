"""Disclosures: facts kept outside the leaf, to which the leaf commits by a salted digest.

    disclosure   base64url(JSON array [salt, name, value])
    digest       base64url(SHA-256(disclosure))

The salt keeps a guesser from confirming a value by its digest. A disclosure that is destroyed
leaves a digest without meaning, and every proof of the leaf stays valid.

Source: RFC 9901 (SD-JWT), sections 4.2.1 and 4.2.3; base64url without padding, RFC 7515.
"""

import os
import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

import orjson

from smart_audit.tlog.canonical import canonical_json

DIGEST_ALGORITHM: Final = "sha-256"
DIGESTS_KEY: Final = "_sd"
ALGORITHM_KEY: Final = "_sd_alg"
# A disclosure of such a name would be taken for the mechanism itself. "..." is how RFC 9901
# hides an element of an array.
RESERVED_NAMES: Final = frozenset({DIGESTS_KEY, ALGORITHM_KEY, "..."})
PARTS: Final = 3  # of a disclosure: salt, name, value
SALT_SIZE: Final = 16  # bytes
SALT_LENGTH: Final = 22  # characters: 16 bytes in base64url
DIGEST_LENGTH: Final = 43  # characters: 32 bytes in base64url
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_FROM_URL: Final = bytes.maketrans(b"-_", b"+/")

_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")


class LeafError(ValueError):
    """A leaf or a disclosure that cannot be built or believed; the message says why."""


class Disclosure(NamedTuple):
    """One fact that is handed out or withheld by itself.

    salt: base64url; name: the fact's name; value: JSON.
    encoded: the disclosure as text. It is kept, not rebuilt, since the digest is over its
    characters and another issuer's JSON may have other spaces.
    digest: 43 characters, as it stands in the leaf.
    """

    salt: str
    name: str
    value: Any
    encoded: str
    digest: str

    @classmethod
    def parse(cls, encoded: str) -> "Disclosure":
        """Read a disclosure.

        Raises: LeafError when it is not the base64url of [salt, name, value].
        """
        salt, name, value = _content(encoded)
        return cls(salt, name, value, encoded, digests_of([encoded.encode()])[0])


def new_salts(count: int) -> list[str]:
    """Fresh salts for disclosures: 16 random bytes each, in base64url, 22 characters.

    They are drawn together, because a system call for each costs more than all that follows.
    """
    drawn = os.urandom(SALT_SIZE * count)
    # Two more bytes let the base64 of each begin at a character of its own.
    padded = b"\0\0".join(drawn[i : i + SALT_SIZE] for i in range(0, len(drawn), SALT_SIZE))
    text = _base64url(padded).decode()
    return [text[i : i + SALT_LENGTH] for i in range(0, len(text), 4 * (SALT_SIZE + 2) // 3)]


def new_disclosure(name: str, value: Any, salt: str) -> Disclosure:
    """Make a disclosure.

    salt: 16 fresh random bytes in base64url, 22 characters; never used twice.

    Raises: LeafError for a reserved name or a salt of another form; CanonicalJsonError for a
    value that is not JSON.
    """
    _require_name(name)
    if len(salt) != SALT_LENGTH or not _BASE64URL.fullmatch(salt):
        raise LeafError(f"the salt of {name!r} is not {SALT_SIZE} bytes in base64url")
    encoded = encode_disclosure(name, value, salt)
    (digest,) = digests_of([encoded])
    return Disclosure(salt, name, value, encoded.decode(), digest)


def encode_disclosure(name: str, value: Any, salt: str) -> bytes:
    """What `new_disclosure` encodes, in ASCII, without its checks: an append makes six an event.

    Raises: CanonicalJsonError for a value that is not JSON.
    """
    # Most values are text, whose form in orjson is the canonical one.
    content = (salt, name, value)
    return _base64url(orjson.dumps(content) if type(value) is str else canonical_json(content))


def decode_disclosure(encoded: str) -> Any:
    """The content of a disclosure, [salt, name, value], without the checks of `Disclosure.parse`.

    It is for those who have made sure of it by other means. Raises: ValueError.
    """
    return orjson.loads(a2b_base64(encoded.encode().translate(_FROM_URL) + b"=="))


def read_disclosures(encoded: Sequence[str]) -> list[tuple[str, Any, str]]:
    """Name, value and digest of each, as `Disclosure.parse` reads them, and faster together.

    Raises: LeafError.
    """
    contents = [_content(one) for one in encoded]
    digests = digests_of([one.encode() for one in encoded])
    return [
        (name, value, digest) for (_, name, value), digest in zip(contents, digests, strict=True)
    ]


def digests_of(encoded: Sequence[bytes]) -> list[str]:
    """The digest of each encoded disclosure, 43 characters."""
    # One byte more lets the base64 of each begin at a character of its own.
    padded = b"\0".join([sha256(one).digest() for one in encoded])
    text = _base64url(padded).decode()
    return [text[i : i + DIGEST_LENGTH] for i in range(0, len(text), DIGEST_LENGTH + 1)]


def _base64url(data: bytes) -> bytes:
    # What urlsafe_b64encode does, without its layers of calls: six of these make up a leaf.
    return b2a_base64(data, newline=False).translate(_TO_URL, b"=")


def _content(encoded: str) -> tuple[str, str, Any]:
    """Raises: LeafError."""
    if not _BASE64URL.fullmatch(encoded):
        raise LeafError(f"disclosure {encoded!r} is not base64url")
    try:
        content = decode_disclosure(encoded)
    except ValueError as error:
        raise LeafError(f"disclosure {encoded!r} is not base64url of JSON") from error
    # A match statement would take longer than all else here.
    if type(content) is list and len(content) == PARTS:
        salt, name, value = content
        if type(salt) is str and type(name) is str:
            _require_name(name)
            return salt, name, value
    raise LeafError(f"disclosure {encoded!r} is not [salt, name, value]")


def _require_name(name: str) -> None:
    if name in RESERVED_NAMES:
        raise LeafError(f"a disclosure cannot be named {name!r}")
