"""Password hashes that other systems made: which are taken, and what they may cost.

docs/import-users.md lists them.
"""

from typing import Any

from passlib.context import CryptContext

# By the names of libpass, besides argon2, which is ours in all its variants.
FOREIGN = (
    "bcrypt",
    "bcrypt_sha256",
    "django_bcrypt_sha256",
    "scrypt",
    "pbkdf2_sha512",
    "pbkdf2_sha256",
    "pbkdf2_sha1",
    "django_pbkdf2_sha256",
    "django_pbkdf2_sha1",
    "sha512_crypt",
    "sha256_crypt",
)
# What Django writes before the hashes of others.
DJANGO = ("argon2$", "bcrypt$$")

BCRYPT_BYTES = 72
MIB = 1024
MAX_MEMORY_KIB = 256 * MIB
# Each takes about a second of one core at most.
MAX_ROUNDS = {
    "bcrypt": 14,
    "bcrypt_sha256": 14,
    "django_bcrypt_sha256": 14,
    "pbkdf2_sha512": 1_500_000,
    "pbkdf2_sha256": 2_000_000,
    "pbkdf2_sha1": 2_000_000,
    "django_pbkdf2_sha256": 2_000_000,
    "django_pbkdf2_sha1": 2_000_000,
    "sha512_crypt": 200_000,
    "sha256_crypt": 200_000,
}
MAX_ARGON2_WORK_KIB = 1024 * MIB
MAX_SCRYPT_WORK_KIB = 512 * MIB
MAX_LANES = 16

CONTEXT = CryptContext(schemes=["argon2", *FOREIGN])


class HashRefused(ValueError):
    """A hash cannot be taken over, and why not; the sentence follows the field's name."""


def accepted(password_hash: str) -> str:
    """The hash as it is stored, if it is of a kind that can be verified at a bounded cost.

    Raises: HashRefused.
    """
    for prefix in DJANGO:
        if password_hash.startswith(prefix):
            password_hash = "$" + password_hash.removeprefix(prefix).lstrip("$")
    scheme = CONTEXT.identify(password_hash)
    if scheme is None:
        raise HashRefused("is of no kind that is known here")
    try:
        parsed = CONTEXT.handler(scheme).from_string(password_hash)
    except (ValueError, TypeError) as error:
        raise HashRefused(f"is no {scheme} hash") from error
    if parsed.checksum is None:
        raise HashRefused("has no digest")
    _check_cost(scheme, parsed)
    return password_hash


def as_its_source(password: str, password_hash: str) -> bytes:
    """What is compared with a hash: bcrypt reads 72 bytes, and those who used it cut off the rest.

    Our own hashes are never made so: the first login replaces this one by a hash of all bytes.
    """
    secret = password.encode()
    return secret[:BCRYPT_BYTES] if password_hash.startswith("$2") else secret


def _check_cost(scheme: str, parsed: Any) -> None:
    """Nobody who gives us a hash decides how much of this machine a login takes."""
    if scheme == "argon2":
        memory_kib = parsed.memory_cost
        fits = memory_kib * parsed.rounds <= MAX_ARGON2_WORK_KIB and parsed.parallelism <= MAX_LANES
    elif scheme == "scrypt":
        memory_kib = 128 * parsed.block_size * 2**parsed.rounds // 1024
        fits = memory_kib * parsed.parallelism <= MAX_SCRYPT_WORK_KIB
    else:
        memory_kib = 0
        fits = parsed.rounds <= MAX_ROUNDS[scheme]
    if not fits or memory_kib > MAX_MEMORY_KIB:
        raise HashRefused("costs more than a login may")
