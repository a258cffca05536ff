"""Ids and clocks, injected wherever they are used."""

import os
import secrets
import time
from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from uuid import UUID

SECRET_BYTES = 32
SECRET_LENGTH = 43


def utc_now() -> datetime:
    """The time now, timezone-aware UTC, in microseconds."""
    return datetime.now(UTC)


def new_id() -> UUID:
    """A UUIDv7: 48 bits of milliseconds since 1970, then 74 random bits.

    Source: RFC 9562, section 5.7.
    """
    milliseconds = time.time_ns() // 1_000_000
    value = milliseconds << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


def milliseconds_of(id_: UUID) -> int:
    """When a UUIDv7 was made; milliseconds since 1970."""
    return id_.int >> 80


def new_secret() -> str:
    """256 random bits as base64url, `SECRET_LENGTH` characters."""
    return secrets.token_urlsafe(SECRET_BYTES)


def random_bytes(secret: str) -> bytes:
    """The 32 random bytes of a secret."""
    return urlsafe_b64decode(secret + "=")
