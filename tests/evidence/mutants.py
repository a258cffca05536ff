"""Bundles changed at random, more strangely than a forger would."""

import json
from random import Random
from typing import Any

from smart_audit.client.evidence.formats import PAGE
from smart_audit.client.evidence.lines import doubles, line
from smart_audit.tlog.canonical import CanonicalJsonError

from .making import redigested

STRANGE: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 2**53, 2**64, -0.0, 1e16, 0.5, 1e-7),
    *("", "x", "é", "\u2028", "🗄", "AAAA", "AAA=", "__proto__", [], {}, ["x"], {"a": 1}),
)
NAMES = ("x", "__proto__", "constructor", "version", "_sd", "...")


def mutant(contents: dict[str, bytes], random: Random) -> dict[str, bytes]:
    """One to three changes; mostly with digests and page made to fit again."""
    changed = dict(contents)
    for _ in range(random.randint(1, 3)):
        name = random.choice(
            [*(name for name in contents if name != PAGE), *["leaves.jsonl", "events.jsonl"] * 4]
        )
        rows = changed[name].splitlines(keepends=True) or [b"x"]
        changed[name] = b"".join(_other_rows(rows, random))
    if random.random() < 0.2:
        return changed
    try:
        return redigested(changed)
    except (ValueError, LookupError, TypeError):
        return changed  # no manifest any more, or what is not text


def _other_rows(rows: list[bytes], random: Random) -> list[bytes]:
    at, to = random.randrange(len(rows)), random.randrange(len(rows))
    match random.randrange(10):
        case 0:
            del rows[at]
        case 1:
            rows.insert(to, rows[at])
        case 2:
            rows[at], rows[to] = rows[to], rows[at]
        case 3:
            row = bytearray(rows[at])
            row[random.randrange(len(row))] = random.choice(b'\0\n\r "Aa\x80\xff')
            rows[at] = bytes(row)
        case _:
            rows[at] = _other_json(rows[at], random)
    return rows


def _other_json(row: bytes, random: Random) -> bytes:
    try:
        value = _other(json.loads(row), random)
    except ValueError:
        return row.rstrip(b"\n")
    try:
        return line(doubles(value))
    except (CanonicalJsonError, TypeError):
        return json.dumps(value).encode() + b"\n"


def _other(value: Any, random: Random) -> Any:  # noqa: PLR0911  (one per kind of change)
    choice = random.randrange(6)
    match value:
        case dict() if value and choice:
            name = random.choice(list(value))
            if choice == 1:
                return {other: one for other, one in value.items() if other != name}
            if choice == 2:
                return value | {random.choice(NAMES): random.choice(STRANGE)}
            return value | {name: _other(value[name], random)}
        case list() if value and choice:
            at = random.randrange(len(value))
            if choice == 1:
                return value[:at] + value[at + 1 :]
            if choice == 2:
                return random.sample(value, len(value))
            return [*value[:at], _other(value[at], random), *value[at + choice % 2 :]]
        case str() if value and choice > 2:
            at = random.randrange(len(value))
            return value[:at] + random.choice("AaB/+-_=0 \né") + value[at + choice % 2 :]
    return random.choice(STRANGE)
