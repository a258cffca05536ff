"""`.env.example` says what the settings classes say; docs/settings.md is made of both."""

import re
from pathlib import Path

import pytest

from smart_audit.audit.settings import AuditSettings
from smart_audit.auth.settings import AuthSettings
from smart_audit.client import settings as client
from smart_audit.client.address import DEFAULT_ADDRESS
from smart_audit.stack import gateway

ROOT = Path(__file__).parents[2]
SETTING = re.compile(r"#([A-Z][A-Z0-9_]*)=(.*)")
ROW = re.compile(r"^\| `([A-Z*][A-Z0-9_*]*)` \|", re.MULTILINE)
SERVICES = {"AUTH_": AuthSettings, "AUDIT_": AuditSettings}
NEEDED = {"DATABASE_URL", "MIGRATION_DATABASE_URL"}


def listed():
    """The settings of .env.example: value by name."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    found = [match.groups() for match in map(SETTING.fullmatch, lines) if match]
    assert len(found) == len(dict(found)), "a setting is listed twice"
    return dict(found)


def of_service(prefix):
    return {
        field.validation_alias or f"{prefix}{name.upper()}"
        for name, field in SERVICES[prefix].model_fields.items()
    }


def of_gateway():
    return set(re.findall(r'"(GATEWAY_[A-Z_]+)"', Path(gateway.__file__).read_text()))


def of_compose():
    text = (ROOT / "docker-compose.yml").read_text()
    return set(re.findall(r"\$\{([A-Z_]+)", text))


def test_every_setting_is_listed_and_no_other():
    known = {"DATABASE_URL", "SECRETS_DIR", client.ADDRESS_VARIABLE, client.TOKEN_VARIABLE}
    known.add(client.API_KEY_VARIABLE)
    known |= of_service("AUTH_") | of_service("AUDIT_") | of_gateway() | of_compose()
    assert set(listed()) == known


@pytest.mark.parametrize("prefix", SERVICES)
def test_the_values_are_the_defaults(monkeypatch, prefix):
    needed = {f"{prefix}DATABASE_URL": "postgresql:///x"}
    for name in of_service(prefix):
        monkeypatch.delenv(name, raising=False)
    for name, value in needed.items():
        monkeypatch.setenv(name, value)
    defaults = SERVICES[prefix]()
    for name in of_service(prefix) - {f"{prefix}{one}" for one in NEEDED}:
        monkeypatch.setenv(name, listed()[name])
    assert SERVICES[prefix]() == defaults


def test_the_values_of_the_gateway_are_its_defaults(tmp_path):
    values = listed()
    needed = ("GATEWAY_AUTH_ENDPOINTS", "GATEWAY_AUDIT_ENDPOINTS", "GATEWAY_ISSUER")
    fewest = {name: values[name] for name in needed}
    everything = {name: values[name] for name in of_gateway()}
    assert gateway.settings_from(everything, tmp_path) == gateway.settings_from(fewest, tmp_path)
    assert values[client.ADDRESS_VARIABLE] == DEFAULT_ADDRESS


def test_the_page_has_each_setting_and_no_other():
    rows = ROW.findall((ROOT / "docs" / "settings.md").read_text())
    named = {name.replace("*", service) for name in rows for service in ("AUTH", "AUDIT")}
    # the command line's own are in its reference
    assert named == {name for name in listed() if not name.startswith("SMART_AUDIT_")}
