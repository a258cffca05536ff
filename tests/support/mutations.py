"""Bodies that are no messages, or other ones: what may happen to the bytes of a valid request."""

import random
from collections.abc import Callable

Mutation = Callable[[bytes, random.Random], bytes]

# A tag of field 1 with each wire type, 3 and 4 being groups, 6 and 7 none.
TAGS = [bytes([8 | kind]) for kind in range(8)]


def mutated(body: bytes, rng: random.Random) -> bytes:
    """The body after one to three mutations."""
    for _ in range(rng.randint(1, 3)):
        body = rng.choice(MUTATIONS)(body, rng)
    return body


def _cut_off(body: bytes, rng: random.Random) -> bytes:
    return body[: rng.randrange(len(body) + 1)]


def _flipped(body: bytes, rng: random.Random) -> bytes:
    changed = bytearray(body or b"\0")
    for _ in range(rng.randint(1, 4)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _inserted(what: Callable[[random.Random], bytes]) -> Mutation:
    def insert(body: bytes, rng: random.Random) -> bytes:
        place = rng.randrange(len(body) + 1)
        return body[:place] + what(rng) + body[place:]

    return insert


def _appended(what: Callable[[random.Random], bytes]) -> Mutation:
    return lambda body, rng: body + what(rng)


def _twice(body: bytes, rng: random.Random) -> bytes:
    """Fields are repeated, or the last one counts."""
    return body * rng.randint(2, 5)


def _huge_number(rng: random.Random) -> bytes:
    """Varints of all lengths, too long ones, lengths of gigabytes."""
    return b"\xff" * rng.randint(1, 12) + bytes([rng.randrange(256)])


def _field(rng: random.Random) -> bytes:
    """A field of any number and any wire type, with anything in it."""
    tag = (rng.choice([*range(1, 20), 2**29 - 1]) << 3) | rng.randrange(8)
    return _varint(tag) + rng.randbytes(rng.randrange(12))


def _no_text(rng: random.Random) -> bytes:
    """A string that is no UTF-8, or holds what no database takes."""
    text = rng.choice([b"\xff\xfe", b"\xed\xa0\x80", b"a\0b", b"\xc0\x80", b"\xf4\x90\x80\x80"])
    return bytes([(rng.randint(1, 9) << 3) | 2, len(text)]) + text


def _nested(rng: random.Random) -> bytes:
    """Messages in messages, or groups in groups, deeper than anybody reads."""
    depth = rng.choice([50, 150, 500])
    if rng.random() < 0.5:
        return b"\x0b" * depth + b"\x0c" * depth
    inner = b""
    for _ in range(depth):
        inner = b"\x0a" + _varint(len(inner)) + inner
    return inner


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


MUTATIONS: list[Mutation] = [
    _cut_off,
    _flipped,
    _twice,
    _inserted(_huge_number),
    _inserted(lambda rng: rng.randbytes(rng.randint(1, 8))),
    _inserted(lambda rng: rng.choice(TAGS)),
    _appended(_field),
    _appended(_no_text),
    _appended(_nested),
]
