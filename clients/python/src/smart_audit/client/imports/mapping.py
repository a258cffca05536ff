"""Which part of a plain JSON record is which field of an event: what a caller says, checked."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

from smart_audit.client.imports.outcomes import OUTCOMES

FIELDS: Final = (
    "id",
    "action",
    "actor.id",
    "actor.type",
    "actor.name",
    "actor.email",
    "target.id",
    "target.type",
    "target.name",
    "outcome",
    "outcome_reason",
    "occurred_at",
    "source",
    "source_address",
    "user_agent",
)
REQUIRED: Final = ("action", "actor.id", "outcome", "occurred_at")
_TABLES: Final = ("map", "set", "outcome")


class MappingError(ValueError):
    """A mapping that cannot work; the message says what is wrong and how it is right."""


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """Where each field of an event is found.

    paths: of the record, by field, e.g. "user.id" or "items.*.id". constants: what a field is where
    no path is given, or where the path finds nothing. outcomes: the outcome that a value means, in
    capitals. zone: of times that name none; None refuses those.
    """

    paths: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    outcomes: Mapping[str, str] = field(default_factory=dict)
    zone: tzinfo | None = None

    def extended(self, other: Self) -> Self:
        """This mapping, where the other says nothing else."""
        return replace(
            self,
            paths={**self.paths, **other.paths},
            constants={**self.constants, **other.constants},
            outcomes={**self.outcomes, **other.outcomes},
            zone=other.zone or self.zone,
        )

    def check_complete(self) -> None:
        """Raises: MappingError when a field that each event has is neither mapped nor set."""
        missing = [name for name in REQUIRED if not (name in self.paths or name in self.constants)]
        if missing:
            raise MappingError(
                f"nothing gives {', '.join(missing)}; add --map {missing[0]}=PATH, or "
                f"--set {missing[0]}=VALUE when it is the same in each record"
            )


def parse_mapping(
    paths: Mapping[str, Any],
    constants: Mapping[str, Any],
    outcomes: Mapping[str, Any],
    zone: str = "",
) -> FieldMapping:
    """A mapping out of names and texts. Raises: MappingError."""
    for table, values in (("map", paths), ("set", constants)):
        for name in values:
            if name not in FIELDS:
                raise MappingError(f"{table}: there is no field {name!r}; {', '.join(FIELDS)}")
    if "id" in constants:
        raise MappingError("set: id cannot be the same in each record; map it, or leave it out")
    meanings = {}
    for value, outcome in outcomes.items():
        if str(outcome).lower() not in OUTCOMES:
            raise MappingError(f"outcome {value}: {outcome!r} is none of {', '.join(OUTCOMES)}")
        meanings[value.lower()] = str(outcome).lower()
    return FieldMapping(
        {name: _text("map", name, path) for name, path in paths.items()},
        {name: _text("set", name, value) for name, value in constants.items()},
        meanings,
        _zone(zone),
    )


def parse_toml(text: str) -> FieldMapping:
    """A mapping out of a file: tables [map], [set] and [outcome], and `timezone`.

    Raises: MappingError.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"not TOML: {error}") from error
    zone = document.pop("timezone", "")
    for name, table in document.items():
        if name not in _TABLES or not isinstance(table, dict):
            raise MappingError(f"there is no table [{name}]; {', '.join(_TABLES)}")
    paths, constants, outcomes = (_flat(document.get(name, {})) for name in _TABLES)
    return parse_mapping(paths, constants, outcomes, _text("", "timezone", zone))


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """TOML reads `actor.id = …` as a table in a table; the field is meant."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def _text(table: str, name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise MappingError(f"{table} {name}: must be a text".strip())
    return value


def _zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ValueError, OSError, KeyError) as error:
        raise MappingError(f"there is no time zone {name!r}; e.g. UTC or Europe/Paris") from error
