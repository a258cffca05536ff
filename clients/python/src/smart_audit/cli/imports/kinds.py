"""The kinds of files that can be imported: how their lines are read, how records become events."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.cli.imports.importer import ToEvent
from smart_audit.cli.imports.lines import Unpack, array
from smart_audit.client.imports import cloudevents, cloudtrail, ocsf, own, plain
from smart_audit.client.imports.mapping import (
    FieldMapping,
    MappingError,
    parse_mapping,
    parse_toml,
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file."""

    to_event: ToEvent
    unpack: Unpack = array


CLOUDTRAIL = Kind(cloudtrail.to_event, cloudtrail.unpacked)
OCSF = Kind(ocsf.to_event)


def cloudevents_kind(mapping: FieldMapping) -> Kind:
    """CloudEvents, with what a caller says of them."""
    return Kind(functools.partial(cloudevents.to_event, mapping=mapping))


def jsonl_kind(mapping: FieldMapping) -> Kind:
    """Plain JSON lines by a mapping; without one, events as the API writes them.

    Raises: Failure when the mapping does not give each event what it needs.
    """
    if mapping == FieldMapping():
        return Kind(own.to_event)
    try:
        mapping.check_complete()
    except MappingError as error:
        raise Failure(str(error), ExitCode.USAGE) from error
    return Kind(functools.partial(plain.to_event, mapping=mapping))


def read_mapping(
    paths: Sequence[str],
    constants: Sequence[str],
    outcomes: Sequence[str],
    zone: str,
    file: Path | None,
) -> FieldMapping:
    """The mapping of a file, and what the options say, which goes before.

    Raises: Failure when it cannot work; OSError when the file cannot be read.
    """
    tables = (_pairs("--map", paths), _pairs("--set", constants), _pairs("--outcome", outcomes))
    try:
        said = parse_mapping(*tables, zone=zone)
    except MappingError as error:
        raise Failure(f"--{error}", ExitCode.USAGE) from error
    if file is None:
        return said
    try:
        return parse_toml(file.read_text(encoding="utf-8")).extended(said)
    except (MappingError, UnicodeDecodeError) as error:
        raise Failure(f"{file}: {error}", ExitCode.USAGE) from error


def _pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """FIELD=VALUE texts; a value may hold more equals signs. Raises: Failure."""
    pairs = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise Failure(f"{option} {text!r}: write NAME=VALUE", ExitCode.USAGE)
        pairs[name.strip()] = value
    return pairs
