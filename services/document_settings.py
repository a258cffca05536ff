"""Writes docs/settings.md from what reads the settings; --check says whether it is up to date.

Services: their settings classes. What is read elsewhere (gateway, containers, command line): the
comments of .env.example, whose names and defaults are tested.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args, get_origin

from pydantic import SecretStr, TypeAdapter
from pydantic.fields import FieldInfo

from smart_audit.audit.settings import AuditSettings
from smart_audit.auth.settings import AuthSettings
from smart_audit.core.settings import DEVELOPMENT_KEY, ServiceSettings

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "settings.md"
EXAMPLE: Final = ROOT / ".env.example"
SERVICES: Final[dict[str, type[ServiceSettings]]] = {"AUTH_": AuthSettings, "AUDIT_": AuditSettings}

HEAD: Final = """\
# Settings

<!-- Written by `make reference` from the settings classes and .env.example; do not edit. -->

Read once at start, from the environment. A value that does not fit stops the process with the name
of the variable. Durations are seconds, ISO 8601 (`PT30M`, `P14D`) or `HH:MM:SS`. Copy
[`.env.example`](../.env.example) to `.env` and change what you need: `make up` and docker-compose
read it, and the environment wins over it. `make up` sets the addresses, keys, issuer and log format
of its services itself.

Those of the command line and of the SDK: [The command line](cli.md#where-it-calls-and-as-whom).

With `ENV=production` a service refuses to start, and names the remedy, while a setting is insecure:
[the list](production.md).
"""
# Where a setting is explained at length.
EXPLAINED: Final = {
    "GATEWAY_TLS": "tls.md#with-a-certificate-of-your-own",
    "GATEWAY_UPSTREAM": "tls.md#between-the-services",
    "AUTH_MAIL_": "mail.md",
    "AUTH_SMTP_": "mail.md",
    "AUTH_PASSWORD_": "passwords.md",
    "AUTH_THROTTLE_": "throttling.md",
    "AUTH_WEBAUTHN_": "second-factors.md",
    "AUTH_SIGNING_KEY_": "machines.md#the-keys-that-sign-tokens",
    "AUDIT_CHECKPOINT_KEY_": "rotate-keys.md#the-checkpoint-key",
    "AUDIT_WITNESS_": "operations.md#witnesses",
    "AUDIT_VERIFY_": "operations.md#verifying-the-database",
    "AUDIT_RETENTION_": "ARCHITECTURE.md#what-a-log-forgets",
    "AUDIT_EXPORT_": "exports.md",
    "AUDIT_EMBEDDINGS": "meaning.md",
    "AUDIT_TAIL": "tail.md",
    "GATEWAY_OTLP_": "operations.md#traces",
    "OTEL_EXPORTER_": "operations.md#traces",
    "SENTRY_": "operations.md#defects",
    "*_TLS_": "tls.md#between-the-services",
    "*_PEER_CA": "tls.md#between-the-services",
    "GATEWAY_TLS_": "tls.md",
    "GATEWAY_UPSTREAM_": "tls.md#between-the-services",
    "GATEWAY_RATE_LIMIT_": "operations.md#calls-of-one-client",
    "GATEWAY_TRUSTED_HOPS": "operations.md#calls-of-one-client",
}
# Sections of .env.example.
ELSEWHERE: Final = {
    "make up": "Beside those of the services and of the gateway.",
    "gateway": "`make up` has `--host` and `--port` instead of the first ones.",
    "docker-compose": "",
}
UNITS: Final = {"_bytes": "bytes", "_kib": "KiB", "_rate": "rows per second"}
KINDS: Final = {int: "number", bool: "`true` or `false`", timedelta: "duration", Path: "path"}


class Setting(NamedTuple):
    """A row of a table."""

    name: str
    default: str
    kind: str
    text: str


def main() -> None:
    """Write the page, or compare it."""
    text = page()
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text() != text:
            sys.exit("docs/settings.md is not what the settings say; run: make reference")
        return
    PAGE.write_text(text)


def page() -> str:
    """The page, as Markdown."""
    sections = [HEAD]
    common = set(ServiceSettings.model_fields)
    both = [*_of_service("*_", common), *_of_example("all")]
    sections += _section(
        "Both services", "`*` is `AUTH` or `AUDIT`; names without it are the same for both.", both
    )
    shared = {one.name for one in both}
    for prefix, settings in SERVICES.items():
        names = set(settings.model_fields) - common
        sections += _section(prefix.strip("_").lower(), "", _of_service(prefix, names))
    for title, text in ELSEWHERE.items():
        own = [one for one in _of_example(title) if one.name not in shared]
        sections += _section(title, text, own)
    return "\n".join(sections)


def _section(title: str, text: str, settings: Iterable[Setting]) -> Iterator[str]:
    yield f"## {title}\n"
    if text:
        yield f"{text}\n"
    yield "| Setting | Default | Value | |\n|---|---|---|---|"
    # What is needed comes first; else the order in which they are declared stays.
    for name, default, kind, description in sorted(settings, key=lambda one: one[1] != "needed"):
        more = next((at for start, at in EXPLAINED.items() if name.startswith(start)), None)
        link = f" ([more]({more}))" if more else ""
        yield f"| `{name}` | {default} | {kind} | {description}{link} |"
    yield ""


def _of_service(prefix: str, names: set[str]) -> Iterator[Setting]:
    settings = SERVICES.get(prefix, ServiceSettings)
    for name, field in settings.model_fields.items():
        if name not in names:
            continue
        alias = field.validation_alias
        shown = alias if isinstance(alias, str) else f"{prefix}{name.upper()}"
        yield Setting(
            shown, _default(name, field), _kind(name, field), _cell(field.description or "")
        )


def _default(name: str, field: FieldInfo) -> str:
    if name == "port" and field.is_required():
        return " / ".join(f"`{one.model_fields[name].default}`" for one in SERVICES.values())
    if field.is_required():
        return "needed"
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
        if value == DEVELOPMENT_KEY:
            return "a public one"
    if isinstance(value, timedelta):
        value = TypeAdapter(timedelta).dump_python(value, mode="json")
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    if isinstance(value, bool):
        value = str(value).lower()
    return "none" if value is None or value == "" else f"`{value}`"


def _kind(name: str, field: FieldInfo) -> str:
    kind: Any = field.annotation
    if get_origin(kind) is not None and type(None) in get_args(kind):
        kind = next(one for one in get_args(kind) if one is not type(None))
    if get_origin(kind) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(kind))
    if kind is SecretStr:
        return "secret"
    bounds = ", ".join(_bounds(field))
    unit = next((unit for end, unit in UNITS.items() if name.endswith(end)), None)
    what = unit or KINDS.get(kind, "list" if get_origin(kind) is tuple else "text")
    return f"{what}, {bounds}" if bounds else what


def _bounds(field: FieldInfo) -> Iterator[str]:
    for rule in field.metadata:
        for attribute, words in (
            ("gt", "above"), ("ge", "at least"), ("lt", "below"), ("le", "at most"),
        ):  # fmt: skip
            bound = getattr(rule, attribute, None)
            if isinstance(bound, timedelta):
                bound = f"{bound.total_seconds():g} s"
            if bound is not None:
                yield f"{words} {bound}"


def _of_example(section: str) -> Iterator[Setting]:
    """The settings of a section of .env.example, each with the comment above it."""
    _, _, rest = EXAMPLE.read_text().partition(f"\n# --- {section}")
    lines = rest.partition("\n# --- ")[0].splitlines()[1:]
    comment: list[str] = []
    settings_began = False
    for line in lines:
        if match := re.fullmatch(r"#([A-Z][A-Z0-9_]*)=(.*)", line):
            name, value = match.groups()
            settings_began = True
            if name != "ENV":
                text = " ".join(comment)
                example = not value or "change-me" in value
                default = "needed" if "; needed" in text else "none" if example else f"`{value}`"
                yield Setting(name, default, "", _cell(text))
        elif line.startswith("# "):
            if settings_began:
                comment, settings_began = [], False
            comment.append(line.removeprefix("# "))
        elif not line:
            comment = []


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    main()
