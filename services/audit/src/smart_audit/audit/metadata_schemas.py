"""JSON Schemas of metadata: which are taken, and what metadata lacks to fit one.

Both come from strangers, so nothing here may run away: a schema refers to its own definitions alone
and not in circles, so that it is a finite tree, and that tree is bounded; patterns run on an engine
whose time is linear in the text; and each validation has so many steps and no more. Nothing is ever
fetched.

Source: JSON Schema draft 2020-12.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
from pydantic_core import SchemaError as PatternError
from pydantic_core import SchemaValidator, core_schema

from smart_audit.audit.domain import KIB
from smart_audit.core.deferred import deferred

if TYPE_CHECKING:
    import jsonschema
    import referencing
else:
    jsonschema = deferred("jsonschema")
    referencing = deferred("referencing")

MAX_BYTES: Final = 32 * KIB
MAX_TREE: Final = 2_000
"""Subschemas, with each reference counted as what it refers to."""
MAX_STEPS: Final = 10_000
"""Of one validation: a step is a keyword, and each member of what it looks at."""
MAX_PROBLEMS: Final = 10
SHOWN: Final = 100
# As JSON writes it, and not a backslash before "u0000"; no JSON of Postgres can hold one.
_ZERO: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
DEFINITION: Final = "#/$defs/"

ONE: Final = frozenset(
    {"items", "contains", "additionalProperties", "propertyNames", "not", "if", "then", "else"}
)
LISTS: Final = frozenset({"prefixItems", "allOf", "anyOf", "oneOf"})
MAPS: Final = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs"})
ANNOTATIONS: Final = frozenset(
    {"$schema", "$comment", "title", "description", "default", "examples", "deprecated", "format"}
    | {"readOnly", "writeOnly", "contentEncoding", "contentMediaType"}
)
ASSERTIONS: Final = frozenset(
    {"$ref", "type", "enum", "const", "required", "dependentRequired", "pattern", "multipleOf"}
    | {"minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minContains"}
    | {"maxContains", "minProperties", "maxProperties"}
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
)
TAKEN: Final = ONE | LISTS | MAPS | ANNOTATIONS | ASSERTIONS


class Unfit(Exception):
    """A schema that is not taken: where, as a path such as `properties.size`, and why."""

    def __init__(self, path: Iterable[Any], why: str) -> None:
        super().__init__(why)
        self.path = place(path)
        self.why = why


class Problem(NamedTuple):
    """What is wrong with metadata."""

    path: str
    """Where, e.g. `items[2].size`; empty for the whole."""
    what: str
    """What it has to be. It holds none of the metadata's values."""


class TooLong(Exception):
    """A validation has taken all its steps."""


_left: ContextVar[list[int]] = ContextVar("left")


def check_schema(schema: Mapping[str, Any]) -> None:
    """Look whether a schema is taken. Raises: Unfit."""
    text = orjson.dumps(schema)
    if len(text) > MAX_BYTES:
        raise Unfit((), f"must be at most {MAX_BYTES} bytes")
    if _ZERO.search(text):
        raise Unfit((), "must not hold a zero byte")
    _Tree(schema).check()
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise Unfit(error.absolute_path, _expected(error)) from error


class MetadataSchema:
    """A schema that was taken, ready to validate."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        # An empty registry: what is not in the schema itself does not exist.
        self._validator = _validator_type()(schema, registry=referencing.Registry())

    def problems(self, metadata: Mapping[str, Any]) -> list[Problem]:
        """What is wrong, at most ten things; nothing if it fits."""
        _left.set([MAX_STEPS])
        try:
            errors = list(islice(self._validator.iter_errors(metadata), MAX_PROBLEMS))
        except TooLong:
            return [Problem("", f"takes more than {MAX_STEPS} steps to validate; simplify it")]
        return [Problem(place(error.absolute_path), _expected(error)) for error in errors]


def place(path: Iterable[Any]) -> str:
    """A path in words: `items[2].size`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def _expected(error: "jsonschema.ValidationError | jsonschema.SchemaError") -> str:
    """What was asked for. jsonschema's own message would show the value, which may be personal."""
    if error.validator in ("required", "additionalProperties", "dependentRequired"):
        return _shortened(error.message, 3 * SHOWN)
    if error.validator is None:
        return "must not be there"
    return f"must satisfy {error.validator}: {_shortened(_text(error.validator_value), SHOWN)}"


def _text(value: Any) -> str:
    return orjson.dumps(value, default=str).decode()


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


class _Tree:
    """A schema as the tree that it stands for."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        definitions = schema.get("$defs", {})
        self._definitions = definitions if isinstance(definitions, Mapping) else {}
        self._sizes: dict[str, int] = {}
        self._open: list[str] = []

    def check(self) -> None:
        """Raises: Unfit."""
        size = self._size(self._schema, ())
        for name, definition in self._definitions.items():
            size += self._size(definition, ("$defs", name))
        if size > MAX_TREE:
            what = f"must not stand for more than {MAX_TREE} subschemas, references resolved"
            raise Unfit((), what)

    def _size(self, schema: Any, path: tuple[Any, ...]) -> int:
        """How many subschemas a schema stands for."""
        if isinstance(schema, bool):
            return 1
        if not isinstance(schema, Mapping):
            raise Unfit(path, "must be a schema: an object or a boolean")
        size = 1
        for keyword, value in schema.items():
            at = (*path, keyword)
            if keyword == "$ref":
                size += self._referred(value, at)
            elif keyword == "$schema" and value != DIALECT:
                raise Unfit(at, f"must be {DIALECT}")
            elif keyword == "$defs" and path:
                raise Unfit(at, "must stand at the top of the schema")
            elif keyword in ("pattern", "patternProperties"):
                _check_patterns([value] if keyword == "pattern" else value, at)
            if keyword != "$defs":
                size += sum(
                    self._size(inner, (*at, *step)) for step, inner in _inner(keyword, value)
                )
            if keyword not in TAKEN and not keyword.startswith("x-"):
                raise Unfit(at, "is no keyword that is taken here; names of your own begin with x-")
        return size

    def _referred(self, reference: Any, path: tuple[Any, ...]) -> int:
        name = str(reference).removeprefix(DEFINITION)
        if not str(reference).startswith(DEFINITION) or name not in self._definitions:
            raise Unfit(path, "must be #/$defs/ and the name of a definition of this schema")
        if name in self._open:
            raise Unfit(path, "must not refer to itself, not even by others")
        if name not in self._sizes:
            self._open.append(name)
            self._sizes[name] = self._size(self._definitions[name], ("$defs", name))
            self._open.pop()
        return self._sizes[name]


def _inner(keyword: str, value: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The subschemas of a keyword, each with where it stands."""
    if keyword in ONE:
        yield (), value
    elif keyword in LISTS and isinstance(value, list):
        yield from (((number,), one) for number, one in enumerate(value))
    elif keyword in MAPS and isinstance(value, Mapping):
        yield from (((name,), one) for name, one in value.items())


def _check_patterns(patterns: Any, path: tuple[Any, ...]) -> None:
    for pattern in patterns if isinstance(patterns, (list, Mapping)) else ():
        try:
            _finder(str(pattern))
        except PatternError as error:
            what = "must be a pattern without look-around and back-references"
            raise Unfit(path, f"{what}: {_shortened(str(error), SHOWN)}") from error


@lru_cache(maxsize=1024)
def _finder(pattern: str) -> Callable[[str], bool]:
    """Whether a text has a match anywhere, in time linear in it (the engine is Rust's)."""
    schema = core_schema.str_schema(pattern=pattern, regex_engine="rust-regex", strict=True)
    return SchemaValidator(schema).isinstance_python


Keyword = Callable[[Any, Any, Any, Any], "Iterable[jsonschema.ValidationError] | None"]


def _counted(keyword: Keyword) -> Keyword:
    """A keyword that takes its steps from the validation's."""

    def counted(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
        left = _left.get()
        left[0] -= 1 + (len(instance) if isinstance(instance, (list, dict)) else 0)
        if left[0] < 0:
            raise TooLong
        yield from keyword(validator, value, instance, schema) or ()

    return counted


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[Any]:
    if isinstance(instance, str) and not _finder(pattern)(instance):
        yield jsonschema.ValidationError("does not match")


def _pattern_properties(
    validator: Any, patterns: Any, instance: Any, _schema: Any
) -> Iterator[Any]:
    if not isinstance(instance, dict):
        return
    for pattern, inner in patterns.items():
        found = _finder(pattern)
        for name, value in instance.items():
            if found(name):
                yield from validator.descend(value, inner, path=name, schema_path=pattern)


def _additional_properties(validator: Any, inner: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if not isinstance(instance, dict):
        return
    named = schema.get("properties", {})
    patterns = [_finder(pattern) for pattern in schema.get("patternProperties", {})]
    for name, value in instance.items():
        if name in named or any(found(name) for found in patterns):
            continue
        if inner is False:
            yield jsonschema.ValidationError(f"must not have the property {name!r}")
        else:
            yield from validator.descend(value, inner, path=name)


def _unique_items(_validator: Any, wanted: Any, instance: Any, _schema: Any) -> Iterator[Any]:
    # jsonschema's own compares each item with each other.
    if wanted and isinstance(instance, list):
        texts = {orjson.dumps(item, option=orjson.OPT_SORT_KEYS) for item in instance}
        if len(texts) < len(instance):
            yield jsonschema.ValidationError("has equal items")


_OURS: Final[dict[str, Keyword]] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "uniqueItems": _unique_items,
}


@lru_cache(maxsize=1)
def _validator_type() -> Any:
    """The validator of the draft, whose keywords count their steps."""
    keywords: Mapping[str, Any] = jsonschema.Draft202012Validator.VALIDATORS
    return jsonschema.validators.extend(  # type: ignore[no-untyped-call]
        jsonschema.Draft202012Validator,
        {name: _counted(_OURS.get(name, keyword)) for name, keyword in keywords.items()},
    )


MOST_PATHS: Final = 500
DEEPEST: Final = 4


def paths(schema: Mapping[str, Any]) -> dict[str, list[str]]:
    """The paths of metadata that a schema names, such as `items.size`, with the values it lists."""
    found: dict[str, list[str]] = {}
    _collect(schema, schema.get("$defs", {}), "", found)
    return found


def _collect(schema: Any, definitions: Any, path: str, found: dict[str, list[str]]) -> None:
    if not isinstance(schema, Mapping) or len(found) >= MOST_PATHS:
        return
    if path:
        values = [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else ())]
        if schema.get("type") == "boolean":
            values += [True, False]
        texts = [one if isinstance(one, str) else _text(one) for one in values]
        found[path] = list(dict.fromkeys([*found.get(path, ()), *texts]))
    referred = definitions.get(str(schema.get("$ref", "")).removeprefix(DEFINITION))
    alternatives = [
        one for keyword in ("allOf", "anyOf", "oneOf") for one in schema.get(keyword, ())
    ]
    for same in (referred, schema.get("items"), *alternatives):
        _collect(same, definitions, path, found)
    if path.count(".") < DEEPEST - 1:
        for name, inner in schema.get("properties", {}).items():
            _collect(inner, definitions, f"{path}.{name}" if path else name, found)
