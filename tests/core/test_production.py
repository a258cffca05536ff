"""ENV=production refuses what is insecure, and says how to mend it."""

import base64
import os

import pytest
from pydantic import ValidationError

from smart_audit.audit.settings import AuditSettings
from smart_audit.auth.settings import AuthSettings

SAFE = {
    "KEY_ENCRYPTION_KEY": base64.b64encode(b"k" * 32).decode(),
    "DATABASE_URL": "postgresql://smart_audit:of-my-own@db.internal/smart_audit",
    "ISSUER": "https://id.example.com",
}
SAFE_AUTH = {
    "AUTH_WEBAUTHN_RP_ID": "example.com",
    "AUTH_WEBAUTHN_ORIGINS": "https://app.example.com",
    "AUTH_SMTP_HOST": "smtp.example.com",
}
SERVICES = {"AUTH_": AuthSettings, "AUDIT_": AuditSettings}

BOTH = [
    ("KEY_ENCRYPTION_KEY", None, "KEY_ENCRYPTION_KEY, a key of your own; make one with `openssl"),
    ("ISSUER", None, "ISSUER to be an https:// URL"),
    ("ISSUER", "http://id.example.com", "ISSUER to be an https:// URL"),
    ("ISSUER", "https:", "ISSUER to be an https:// URL"),
    ("DATABASE_URL", "postgresql://a:development-only@db/x", "another password in *DATABASE_URL"),
    ("DATABASE_URL", "postgresql://a:change-me@db/x", "another password in *DATABASE_URL"),
]
AUTH = [
    ({"AUTH_WEBAUTHN_RP_ID": "", "AUTH_WEBAUTHN_ORIGINS": ""}, "AUTH_WEBAUTHN_RP_ID to be your"),
    (
        {"AUTH_WEBAUTHN_RP_ID": "x.localhost", "AUTH_WEBAUTHN_ORIGINS": "http://x.localhost:3000"},
        "AUTH_WEBAUTHN_ORIGINS to be https:// origins",
    ),
    ({"AUTH_PASSWORD_RANGE_URL": "http://hibp.example.com"}, "AUTH_PASSWORD_RANGE_URL to be an"),
    ({"AUTH_THROTTLE_EXEMPT": "10.0.0.0/8, 0.0.0.0/0"}, "AUTH_THROTTLE_EXEMPT to name your own"),
    ({"AUTH_THROTTLE_EXEMPT": "::/0"}, "AUTH_THROTTLE_EXEMPT to name your own networks"),
    ({"REDIS_URL": "redis://cache.internal:6379/0"}, "a password in REDIS_URL"),
    ({"AUTH_SMTP_HOST": ""}, "AUTH_SMTP_HOST, or AUTH_MAIL_DIR where something else takes"),
    ({"AUTH_SMTP_SECURITY": "none"}, "AUTH_SMTP_SECURITY to be starttls or tls"),
    ({"AUTH_ACCOUNT_PAGES_URL": "http://app.example.com"}, "AUTH_ACCOUNT_PAGES_URL to be an"),
]


@pytest.fixture
def settings(monkeypatch):
    """Reads the settings of a service from an environment: safe ones, with changes."""

    def read(prefix, env="production", **changes):
        for name in [one for one in os.environ if one.startswith(("AUTH_", "AUDIT_", "REDIS_"))]:
            monkeypatch.delenv(name)
        safe = {f"{prefix}{name}": value for name, value in SAFE.items()}
        safe |= SAFE_AUTH if prefix == "AUTH_" else {}
        for name, value in {**safe, "ENV": env, **changes}.items():
            if value:
                monkeypatch.setenv(name, value)
            else:
                monkeypatch.delenv(name, raising=False)
        return SERVICES[prefix]()

    return read


def refused(settings, prefix, **changes):
    """What a service says in production; in development it takes the same."""
    settings(prefix, env="development", **changes)
    with pytest.raises(ValidationError) as caught:
        settings(prefix, **changes)
    (error,) = caught.value.errors()
    return error["msg"].removeprefix("Value error, ")


@pytest.mark.parametrize("prefix", SERVICES)
def test_production_takes_what_is_safe(settings, prefix):
    assert settings(prefix).env == "production"
    assert settings(prefix, **{f"{prefix}METRICS_PORT": "9090", f"{prefix}HOST": "10.0.0.7"})
    socket = "postgresql://smart_audit@/x?host=/run/postgresql"
    assert settings(prefix, **{f"{prefix}DATABASE_URL": socket})


def test_nobody_needs_to_be_exempt_from_throttles(settings):
    assert settings("AUTH_").throttle_exempt
    assert settings("AUTH_", AUTH_THROTTLE_EXEMPT=" ").throttle_exempt == ()
    with pytest.raises(ValidationError, match="has host bits set") as caught:
        settings("AUTH_", AUTH_THROTTLE_EXEMPT="10.0.0.1/8")
    assert caught.value.errors()[0]["loc"] == ("throttle_exempt",)


def test_production_takes_mail_on_this_machine(settings):
    assert settings("AUTH_", AUTH_SMTP_HOST="localhost", AUTH_SMTP_SECURITY="none")
    assert settings("AUTH_", AUTH_SMTP_HOST="", AUTH_MAIL_DIR="/var/spool/smart-audit")


@pytest.mark.parametrize("prefix", SERVICES)
@pytest.mark.parametrize(("name", "value", "remedy"), BOTH)
def test_production_refuses_what_is_insecure(settings, prefix, name, value, remedy):
    said = refused(settings, prefix, **{f"{prefix}{name}": value})
    expected = remedy.replace("*", prefix) if "*" in remedy else prefix + remedy
    assert said.startswith(f"ENV=production needs {expected}")
    assert "\n" not in said
    assert not value or value == "https:" or value not in said


@pytest.mark.parametrize("prefix", SERVICES)
@pytest.mark.parametrize("host", ["203.0.114.7", "2a00:1450::1"])
def test_production_serves_no_metrics_to_everybody(settings, prefix, host):
    changes = {f"{prefix}METRICS_PORT": "9090", f"{prefix}HOST": host}
    assert f"{prefix}METRICS_PORT=0; metrics" in refused(settings, prefix, **changes)


@pytest.mark.parametrize(("changes", "remedy"), AUTH)
def test_production_refuses_what_is_insecure_in_auth(settings, changes, remedy):
    assert refused(settings, "AUTH_", **changes).startswith(f"ENV=production needs {remedy}")


def test_all_that_is_insecure_is_said_at_once(settings):
    said = refused(settings, "AUTH_", AUTH_ISSUER="", AUTH_KEY_ENCRYPTION_KEY="")
    assert [line.split()[2].strip(",") for line in said.splitlines()] == [
        "AUTH_KEY_ENCRYPTION_KEY",
        "AUTH_ISSUER",
    ]


@pytest.mark.parametrize("env", ["development", "production"])
@pytest.mark.parametrize(
    ("name", "value"), [("AUTH_ARGON2_MEMORY_KIB", "19455"), ("AUTH_ARGON2_PASSES", "1")]
)
def test_no_installation_hashes_passwords_below_the_bar(settings, env, name, value):
    with pytest.raises(ValidationError, match="greater than or equal to"):
        settings("AUTH_", env=env, **{name: value})
