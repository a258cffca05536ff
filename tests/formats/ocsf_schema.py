"""Checks events against the schema of OCSF, version by version."""

import json
import re
from functools import cache
from pathlib import Path

SCHEMAS = Path(__file__).parents[1] / "data" / "ocsf"
# Computed when the schema is compiled; held against the class itself.
COMPUTED = ("class_uid", "category_uid", "type_uid")
OPAQUE = ("json_t", "object")


@cache
def schema(version):
    return json.loads((SCHEMAS / f"{version}.json").read_text())


def faults(event, version):
    """All that is wrong with an event: unknown attributes, missing ones, wrong values."""
    found = []
    cls = schema(version)["classes"][str(event["class_uid"])]
    if event["category_uid"] != cls["category_uid"]:
        found.append("category_uid")
    if event["type_uid"] != event["class_uid"] * 100 + event["activity_id"]:
        found.append("type_uid")
    if (event["class_name"], event["category_name"]) != (cls["caption"], cls["category"]):
        found.append("captions")
    profiles = event["metadata"].get("profiles", [])
    _object(event, cls, version, "", "datetime" in profiles, found)
    return found


def recommended(event, version):
    """The recommended attributes of the class that an event has not."""
    attributes = schema(version)["classes"][str(event["class_uid"])]["attributes"]
    return {
        name
        for name, one in attributes.items()
        if one["requirement"] == "recommended" and name not in event
    }


def _object(value, definition, version, path, datetime_profile, found):
    attributes = definition["attributes"]
    for name, one in attributes.items():
        if one["requirement"] == "required" and name not in value:
            found.append(f"{path}{name} is missing")
    for rule, names in definition.get("constraints", {}).items():
        count = sum(name in value for name in names)
        if count < 1 or (rule == "just_one" and count > 1):
            found.append(f"{path or 'event'}: {rule} of {names}")
    for name, inner in value.items():
        place = f"{path}{name}"
        if datetime_profile and name.endswith("_dt"):
            one = attributes.get(name.removesuffix("_dt"), {})
            if one.get("type") == "timestamp_t" and isinstance(inner, str):
                continue
        if name not in attributes:
            found.append(f"{place} is unknown")
            continue
        one = attributes[name]
        if one.get("deprecated"):
            found.append(f"{place} is deprecated")
        if one.get("array", False) != isinstance(inner, list):
            found.append(f"{place} is an array or not")
            continue
        for item in inner if isinstance(inner, list) else [inner]:
            _value(item, name, one, version, place, datetime_profile, found)


def _value(value, name, one, version, place, datetime_profile, found):
    kind = one["type"]
    if kind in OPAQUE:
        return
    if kind in schema(version)["objects"]:
        _object(
            value, schema(version)["objects"][kind], version, f"{place}.", datetime_profile, found
        )
        return
    definition = schema(version)["types"].get(kind, {})
    base = definition.get("type", kind)
    if base in ("integer_t", "long_t"):
        limit = 2**31 if base == "integer_t" else 2**63
        if type(value) is not int or not -limit <= value < limit:
            found.append(f"{place} is no {kind}")
        if "enum" in one and name not in COMPUTED and value not in one["enum"]:
            found.append(f"{place} has no value {value}")
        return
    if not isinstance(value, str) or len(value) > definition.get("max_len", 65535):
        found.append(f"{place} is no {kind}")
    elif "regex" in definition and not re.search(definition["regex"], value):
        found.append(f"{place} is no {kind}: {value!r}")
