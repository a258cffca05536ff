"""Finding values in a JSON record by paths such as "user.id", "items.0.id" and "items.*.id"."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from smart_audit.client.imports.records import Json

EACH: Final = "*"


class Found(NamedTuple):
    """A value, and the keys that lead to it."""

    keys: Sequence[str]
    value: Any


def find(record: Any, path: str) -> Found | None:
    """The value at a path; None when there is none.

    A key may hold dots itself: "event.name" finds {"event.name": …} as well as {"event": {"name":
    …}}, the former first.
    """
    return _find(record, path.split("."), ())


def _find(node: Any, parts: Sequence[str], keys: Sequence[str]) -> Found | None:
    if not parts:
        return Found(keys, node)
    if isinstance(node, list):
        first, *rest = parts
        if first.isdecimal() and int(first) < len(node):
            return _find(node[int(first)], rest, (*keys, first))
        return None
    if not isinstance(node, dict):
        return None
    for count in range(len(parts), 0, -1):
        key = ".".join(parts[:count])
        if key in node:
            found = _find(node[key], parts[count:], (*keys, key))
            if found is not None:
                return found
    return None


def each_of(record: Json, paths: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The values at several paths: once, or once for each item of the list that a * stands for.

    A path without a * gives the same value each time.
    """
    lists = {path.partition(f".{EACH}")[0] for path in paths.values() if EACH in path}
    if not lists:
        yield {name: _value(record, path) for name, path in paths.items() if path}
        return
    for base in sorted(lists):
        items = _value(record, base)
        for item in items if isinstance(items, list) else ():
            yield {name: _of_item(record, item, base, path) for name, path in paths.items() if path}


def _of_item(record: Json, item: Any, base: str, path: str) -> Any:
    start = f"{base}.{EACH}"
    if path == start:
        return item
    return _value(item, path[len(start) + 1 :]) if path.startswith(start) else _value(record, path)


def _value(record: Any, path: str) -> Any:
    found = find(record, path)
    return found.value if found else None
