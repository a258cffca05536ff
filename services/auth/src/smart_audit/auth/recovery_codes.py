"""Recovery codes: each replaces a second factor once."""

from base64 import b32encode
from hashlib import sha256

from smart_audit.core.ids import random_bytes

CODES = 10
# 120 bits are beyond guessing, so that a plain digest keeps them (ASVS 6.5.2 asks for 112).
CODE_BYTES = 15
GROUP = 4


def new_recovery_code(secret: str) -> str:
    """A code of 120 bits, as six groups of four letters and digits that nobody confuses.

    secret: 256 random bits in base64url.
    """
    letters = b32encode(random_bytes(secret)[:CODE_BYTES]).decode().lower()
    return "-".join(letters[start : start + GROUP] for start in range(0, len(letters), GROUP))


def recovery_code_hash(code: str) -> bytes:
    """What is stored of a code, 32 bytes; case, spaces and hyphens do not matter."""
    letters = "".join(filter(str.isalnum, code.lower()))
    return sha256(f"recovery code:{letters}".encode()).digest()
