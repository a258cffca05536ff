"""The tree as RFC 6962 defines it: recursive, slow and plain, to check the fast code against.

Its hashes are its own, so that an error in ours cannot hide in both.
"""

from hashlib import sha256


def mth(leaves: list[bytes]) -> bytes:
    """Section 2.1: the Merkle Tree Hash over the leaves' data."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(bytes([0]) + leaves[0]).digest()
    k = split(len(leaves))
    return sha256(bytes([1]) + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """Section 2.1.1: the audit path of leaf m."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def proof(m: int, leaves: list[bytes]) -> list[bytes]:
    """Section 2.1.2: the consistency proof from the first m leaves."""
    return subproof(m, leaves, complete=True)


def subproof(m: int, leaves: list[bytes], *, complete: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if complete else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], complete=complete), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], complete=False), mth(leaves[:k])]


def split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def entries(size: int) -> list[bytes]:
    """Distinct leaf data: entry i is the decimal number i."""
    return [b"%d" % index for index in range(size)]


def flipped(data: bytes, bit: int) -> bytes:
    """The data with one bit turned over, counted from the first byte's lowest."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)
