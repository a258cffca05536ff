"""Common and breached passwords, known by a filter that ships with the service.

The filter is an xor filter (Graf and Lemire, "Xor Filters", 2020) over folded passwords: 16 bits of
fingerprint, so that one password in 65,536 which it does not hold is taken for one that it holds.
`scripts/build_common_passwords.py` makes the file.

File: 8 bytes `SACPXOR1`, the seed and the size of a block (u32 each), then three blocks of u16
fingerprints, all little-endian.
"""

import hashlib
import struct
import sys
import unicodedata
from array import array
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

MAGIC = b"SACPXOR1"
HEADER = struct.Struct("<8sII")
BUNDLED = "common_passwords.bin"


def folded(password: str) -> str:
    """The form in which passwords are compared with lists: NFKC, without case."""
    return unicodedata.normalize("NFKC", password).casefold()


def slots(password: str, seed: int, block: int) -> tuple[int, int, int, int]:
    """Where a folded password stands in each of three blocks, and its fingerprint (16 bits)."""
    digest = hashlib.sha256(seed.to_bytes(4, "little") + password.encode()).digest()
    first, second, third, fingerprint = struct.unpack("<IIIH", digest[:14])
    return (
        first * block >> 32,
        (second * block >> 32) + block,
        (third * block >> 32) + 2 * block,
        fingerprint,
    )


class CommonPasswords:
    """The passwords that nobody may choose: the filter's, and the operator's own."""

    def __init__(self, filter_file: bytes, own: Iterable[str] = ()) -> None:
        magic, self._seed, self._block = HEADER.unpack_from(filter_file)
        self._fingerprints = array("H", filter_file[HEADER.size :])
        if magic != MAGIC or len(self._fingerprints) != 3 * self._block:
            raise ValueError("this is no filter of common passwords")
        if sys.byteorder == "big":
            self._fingerprints.byteswap()
        self._own = frozenset(map(folded, own))

    def hold(self, password: str) -> bool:
        """Whether nobody may choose this password, in whatever case."""
        password = folded(password)
        if password in self._own:
            return True
        first, second, third, fingerprint = slots(password, self._seed, self._block)
        held = self._fingerprints
        return held[first] ^ held[second] ^ held[third] == fingerprint


def load(own_list: Path | None) -> CommonPasswords:
    """The bundled filter with the operator's own list: UTF-8, a password a line.

    Raises: RuntimeError when the list cannot be read.
    """
    bundled = files("smart_audit.auth").joinpath(BUNDLED).read_bytes()
    if own_list is None:
        return CommonPasswords(bundled)
    try:
        lines = own_list.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise RuntimeError(f"AUTH_PASSWORD_DENY_LIST cannot be read as UTF-8: {error}") from error
    return CommonPasswords(bundled, filter(None, lines))
