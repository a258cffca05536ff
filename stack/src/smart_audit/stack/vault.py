"""The secrets of one installation: made once, kept in secrets.json, never logged."""

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from smart_audit.stack.problem import Problem

_PASSWORD_BYTES = 32
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Secrets:
    """Passwords are base64url text; the keys are standard base64 of 32 random bytes."""

    superuser_password: str = field(repr=False)
    auth_password: str = field(repr=False)
    audit_password: str = field(repr=False)
    auth_key_encryption_key: str = field(repr=False)
    audit_key_encryption_key: str = field(repr=False)


def load_or_create(path: Path, *, data_exists: bool) -> Secrets:
    """Read the secrets, or make them on the first start.

    Raises: Problem when they are damaged, or missing although data sealed by them exists.
    """
    if path.exists():
        return _load(path)
    if data_exists:
        raise Problem(
            f"{path} is missing, and the data cannot be opened without it; "
            "put the file back from a backup, or start anew with another --data-dir."
        )
    made = _generate()
    _store(path, made)
    return made


def adopt(source: Path, path: Path) -> None:
    """Take over the secrets of another place; those that are there already are not replaced.

    Raises: Problem when there are others, or when the file is damaged.
    """
    taken = _load(source)
    if not path.exists():
        _store(path, taken)
    elif _load(path) != taken:
        raise Problem(f"{path} holds other secrets; choose another --data-dir.")


def _load(path: Path) -> Secrets:
    names = {item.name for item in fields(Secrets)}
    try:
        path.chmod(0o600)
        content = json.loads(path.read_text())
        kept = Secrets(**{name: str(content[name]) for name in names})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Problem(f"{path} is damaged; put it back from a backup.") from error
    return kept


def _generate() -> Secrets:
    def key() -> str:
        return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()

    return Secrets(
        superuser_password=secrets.token_urlsafe(_PASSWORD_BYTES),
        auth_password=secrets.token_urlsafe(_PASSWORD_BYTES),
        audit_password=secrets.token_urlsafe(_PASSWORD_BYTES),
        auth_key_encryption_key=key(),
        audit_key_encryption_key=key(),
    )


def _store(path: Path, made: Secrets) -> None:
    """Write durably: data sealed by a key that a power cut then takes away would be lost."""
    draft = path.with_suffix(".tmp")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(made), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
