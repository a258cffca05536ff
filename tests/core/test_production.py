"""ENV=production refuses what is insecure, and says how to mend it."""

import base64
import os
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from smart_audit.audit.settings import AuditSettings
from smart_audit.auth.settings import AuthSettings

SAFE = {
    "KEY_ENCRYPTION_KEY": base64.b64encode(bytes(range(32))).decode(),
    "DATABASE_URL": "postgresql://smart_audit:long-and-of-my-own@db.internal/smart_audit?sslmode=require",
    "ISSUER": "https://id.example.com",
    "LOG_FORMAT": "json",
}
SAFE_AUTH = {
    "AUTH_WEBAUTHN_RP_ID": "example.com",
    "AUTH_WEBAUTHN_ORIGINS": "https://app.example.com",
    "AUTH_SMTP_HOST": "smtp.example.com",
}
SAFE_AUDIT = {"AUDIT_LOG_ORIGIN": "audit.example.com"}
SERVICES = {"AUTH_": AuthSettings, "AUDIT_": AuditSettings}

KEY, ISSUER = "secrets.key-encryption-key", "tls.issuer"
PASSWORD, DATABASE = "secrets.database-password", "tls.database"
# What is broken, by the line of docs/production.md that it breaks.
BOTH = [
    (KEY, "KEY_ENCRYPTION_KEY", None, "KEY_ENCRYPTION_KEY, a random key of your own; make one"),
    (KEY, "KEY_ENCRYPTION_KEY", base64.b64encode(b"k" * 32).decode(), "KEY_ENCRYPTION_KEY, a"),
    (ISSUER, "ISSUER", None, "ISSUER to be an https:// URL"),
    (ISSUER, "ISSUER", "http://id.example.com", "ISSUER to be an https:// URL"),
    (ISSUER, "ISSUER", "https:", "ISSUER to be an https:// URL"),
    (PASSWORD, "DATABASE_URL", "postgresql://a:development-only@db/x", "another password in *"),
    (PASSWORD, "DATABASE_URL", "postgresql://a:change-me@db/x", "another password in *"),
    (PASSWORD, "DATABASE_URL", "postgresql://a:fifteen-letters@db/x", "a longer password in *"),
    (DATABASE, "DATABASE_URL", "postgresql://a@db.internal/x", "sslmode=verify-full in *"),
    (DATABASE, "DATABASE_URL", "postgresql://a@10.0.0.7/x?sslmode=prefer", "sslmode=verify-full"),
    (DATABASE, "DATABASE_URL", "postgresql:///x?host=/tmp,db.internal", "sslmode=verify-full"),
    ("logging.json", "LOG_FORMAT", None, "LOG_FORMAT=json"),
    ("logging.level", "LOG_LEVEL", "DEBUG", "LOG_LEVEL of INFO or above"),
]
AUTH = [
    (
        "passkeys.domain",
        {"AUTH_WEBAUTHN_RP_ID": "", "AUTH_WEBAUTHN_ORIGINS": ""},
        "AUTH_WEBAUTHN_RP_ID to be your",
    ),
    (
        "tls.passkeys",
        {"AUTH_WEBAUTHN_RP_ID": "x.localhost", "AUTH_WEBAUTHN_ORIGINS": "http://x.localhost:3000"},
        "AUTH_WEBAUTHN_ORIGINS to be https:// origins",
    ),
    (
        "tls.password-ranges",
        {"AUTH_PASSWORD_RANGE_URL": "http://hibp.example.com"},
        "AUTH_PASSWORD_RANGE_URL to be an",
    ),
    (
        "throttling.exempt",
        {"AUTH_THROTTLE_EXEMPT": "10.0.0.0/8, 0.0.0.0/0"},
        "AUTH_THROTTLE_EXEMPT to name your own",
    ),
    ("throttling.exempt", {"AUTH_THROTTLE_EXEMPT": "::/0"}, "AUTH_THROTTLE_EXEMPT to name your"),
    ("secrets.redis-password", {"REDIS_URL": "redis://cache:6379/0"}, "a password in REDIS_URL"),
    ("secrets.redis-password", {"REDIS_URL": "redis://:short@cache/0"}, "a password in REDIS_URL"),
    (
        "tls.redis",
        {"REDIS_URL": "redis://:long-and-of-my-own@cache.internal:6379/0"},
        "REDIS_URL to be a rediss:// URL",
    ),
    (
        "mail.delivery",
        {"AUTH_SMTP_HOST": ""},
        "AUTH_SMTP_HOST, or AUTH_MAIL_DIR where something else takes",
    ),
    ("tls.mail", {"AUTH_SMTP_SECURITY": "none"}, "AUTH_SMTP_SECURITY to be starttls or tls"),
    (
        "tls.account-pages",
        {"AUTH_ACCOUNT_PAGES_URL": "http://app.example.com"},
        "AUTH_ACCOUNT_PAGES_URL to be an",
    ),
]
AUDIT = [
    ("log.origin", {"AUDIT_LOG_ORIGIN": ""}, "AUDIT_LOG_ORIGIN, such as"),
    ("log.verified", {"AUDIT_VERIFY_EVERY": "0"}, "AUDIT_VERIFY_EVERY above 0"),
    (
        "tls.embeddings",
        {"AUDIT_EMBEDDINGS_URL": "http://models.example.com"},
        "AUDIT_EMBEDDINGS_URL to be an https:// URL",
    ),
]
ENFORCED = re.compile(r"^\| `([a-z.-]+)` \|.*\| start \|$", re.MULTILINE)
CHECKED = re.compile(r"^\| `([a-z.-]+)` \|.*\| doctor(?:, [^|]+)? \|$", re.MULTILINE)
ROOT = Path(__file__).parents[2]
CHECKLIST = ROOT / "docs" / "production.md"
DOCTORS = (
    "clients/python/src/smart_audit/cli/doctor/*.py",
    "stack/src/smart_audit/stack/doctor/*.py",
    "shared/core/src/smart_audit/core/checking.py",
    "services/audit/src/smart_audit/audit/checking.py",
)


@pytest.fixture
def settings(monkeypatch):
    """Reads the settings of a service from an environment: safe ones, with changes."""

    def read(prefix, env="production", **changes):
        for name in [one for one in os.environ if one.startswith(("AUTH_", "AUDIT_", "REDIS_"))]:
            monkeypatch.delenv(name)
        safe = {f"{prefix}{name}": value for name, value in SAFE.items()}
        safe |= SAFE_AUTH if prefix == "AUTH_" else SAFE_AUDIT
        for name, value in {**safe, "ENV": env, **changes}.items():
            if value:
                monkeypatch.setenv(name, value)
            else:
                monkeypatch.delenv(name, raising=False)
        return SERVICES[prefix]()

    return read


def refused(settings, prefix, line, **changes):
    """What a service says in production of a line; in development it takes the same."""
    settings(prefix, env="development", **changes)
    with pytest.raises(ValidationError) as caught:
        settings(prefix, **changes)
    (error,) = caught.value.errors()
    said = error["msg"].removeprefix("Value error, ")
    assert said.endswith(f" [{line}]")
    return said


@pytest.mark.parametrize("prefix", SERVICES)
def test_production_takes_what_is_safe(settings, prefix):
    assert settings(prefix).env == "production"
    assert settings(prefix, **{f"{prefix}METRICS_PORT": "9090", f"{prefix}HOST": "10.0.0.7"})
    for near in ("smart_audit@/x?host=/run/my.postgres", "a:long-and-of-my-own@db,127.0.0.1/x"):
        assert settings(prefix, **{f"{prefix}DATABASE_URL": f"postgresql://{near}"})


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
@pytest.mark.parametrize(("line", "name", "value", "remedy"), BOTH)
def test_production_refuses_what_is_insecure(settings, prefix, line, name, value, remedy):
    said = refused(settings, prefix, line, **{f"{prefix}{name}": value})
    expected = remedy.replace("*", prefix)
    if remedy.startswith(name):
        expected = prefix + remedy
    assert said.startswith(f"ENV=production needs {expected}")
    assert "\n" not in said
    assert not value or value in ("https:", "DEBUG") or value not in said


@pytest.mark.parametrize("prefix", SERVICES)
@pytest.mark.parametrize("host", ["203.0.114.7", "2a00:1450::1"])
def test_production_serves_no_metrics_to_everybody(settings, prefix, host):
    changes = {f"{prefix}METRICS_PORT": "9090", f"{prefix}HOST": host}
    said = refused(settings, prefix, "network.metrics", **changes)
    assert f"{prefix}METRICS_PORT=0; metrics" in said


@pytest.mark.parametrize(("line", "changes", "remedy"), [*AUTH, *AUDIT])
def test_production_refuses_what_is_insecure_in_one_service(settings, line, changes, remedy):
    prefix = "AUDIT_" if next(iter(changes)).startswith("AUDIT_") else "AUTH_"
    said = refused(settings, prefix, line, **changes)
    assert said.startswith(f"ENV=production needs {remedy}")
    assert "\n" not in said


def test_each_line_of_the_checklist_that_a_start_enforces_is_tested_here_and_no_other():
    lines = {str(row[0]) for row in [*BOTH, *AUTH, *AUDIT]} | {"network.metrics"}
    listed = ENFORCED.findall(CHECKLIST.read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(lines)


def test_each_line_of_the_checklist_is_held_by_a_start_or_by_the_doctor():
    text = CHECKLIST.read_text(encoding="utf-8")
    checks = "".join(path.read_text() for each in DOCTORS for path in ROOT.glob(each))
    listed = CHECKED.findall(text)
    assert [line for line in listed if f'"{line}"' not in checks] == []
    assert len(re.findall(r"^\| `", text, re.MULTILINE)) == len(listed) + len(
        ENFORCED.findall(text)
    )


def test_all_that_is_insecure_is_said_at_once(settings):
    said = refused(settings, "AUTH_", ISSUER, AUTH_ISSUER="", AUTH_KEY_ENCRYPTION_KEY="")
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
