"""Ids of events, made here so that an event can be sent twice and stays one."""

import secrets
import time
from typing import Final
from uuid import UUID

_VERSION: Final = 7
_VARIANT: Final = 0b10


def uuid7() -> str:
    """A UUID of version 7: milliseconds since 1970, then 74 random bits.

    Source: RFC 9562, section 5.7.
    """
    milliseconds = time.time_ns() // 1_000_000
    random = secrets.randbits(74)
    number = (milliseconds << 80) | (_VERSION << 76) | ((random >> 62) << 64)
    return str(UUID(int=number | (_VARIANT << 62) | (random & ((1 << 62) - 1))))
