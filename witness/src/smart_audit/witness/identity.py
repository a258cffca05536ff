"""A witness's name and key, made at its first start and kept in its state folder."""

import json
import os
from base64 import b64decode, b64encode
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smart_audit.tlog.cosignature import Cosigner
from smart_audit.tlog.note import NoteError
from smart_audit.witness.store import Store

KEY_FILE = "key.json"
STATE_FILE = "state.sqlite3"
OTHERS = 0o077


class StateUnusable(Exception):
    """The state folder does not allow to go on; the message says why, and what to do."""


def open_identity(folder: Path, name: str | None) -> Cosigner:
    """The identity in a state folder; it is made when the folder has none.

    name: may be left out once there is an identity, and must be the same.

    Raises: StateUnusable, OSError.
    """
    if not (folder / KEY_FILE).exists():
        return _make_identity(folder, name)
    cosigner = read_identity(folder)
    if name not in {None, cosigner.name}:
        raise StateUnusable(
            f"the key in {folder} is that of {cosigner.name}: leave --name out, or take another "
            "folder for another witness"
        )
    # A witness that starts anew under its old key would cosign whatever it is shown first.
    if not (folder / STATE_FILE).exists():
        raise StateUnusable(
            f"{folder / STATE_FILE} is missing, so that this witness has forgotten what it "
            f"cosigned: remove {folder / KEY_FILE} to begin as another one"
        )
    return cosigner


def read_identity(folder: Path) -> Cosigner:
    """The identity in a state folder.

    Raises: StateUnusable, OSError.
    """
    path = folder / KEY_FILE
    if path.stat().st_mode & OTHERS:
        raise StateUnusable(f"others may read {path}: make a new witness, or chmod 600 if none did")
    try:
        stored = json.loads(path.read_text())
        key = Ed25519PrivateKey.from_private_bytes(b64decode(stored["private_key"]))
        return Cosigner(stored["name"], key)
    except (ValueError, KeyError, TypeError) as error:
        raise StateUnusable(f"{path} does not hold a name and a private key") from error


def _make_identity(folder: Path, name: str | None) -> Cosigner:
    if name is None:
        raise StateUnusable("the first start needs --name, such as witness.example.com/w1")
    try:
        cosigner = Cosigner(name, Ed25519PrivateKey.generate())
    except NoteError as error:
        raise StateUnusable(f"--name: {error}") from error
    private = b64encode(cosigner.private_key.private_bytes_raw()).decode()
    # The state comes first: a key without it means that it was lost.
    Store(folder / STATE_FILE).close()
    _write_once(folder, json.dumps({"name": name, "private_key": private}) + "\n")
    return cosigner


def _write_once(folder: Path, text: str) -> None:
    """Write the key file whole or not at all, durable. Raises: FileExistsError."""
    partial = folder / f"{KEY_FILE}.{os.getpid()}"
    partial.touch(mode=0o600, exist_ok=False)
    with partial.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        (folder / KEY_FILE).hardlink_to(partial)
    finally:
        partial.unlink()
    _sync(folder)


def _sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
