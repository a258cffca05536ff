"""Named settings on this machine, for the SDK and the command line alike.

Two TOML files in the user's configuration folder: `config.toml` says where each profile's gateway
is, and `credentials.toml`, which only its owner may read, holds what was logged in with there.

    default_profile = "work"

    [profiles.work]
    address = "https://audit.example.com"
    ca_file = "/etc/ssl/our-ca.pem"
"""

import asyncio
import fcntl
import os
import re
import tomllib
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Self

import platformdirs

from smart_audit.client import private_files
from smart_audit.client.address import DEFAULT_ADDRESS, Address
from smart_audit.client.config_error import ConfigError

FOLDER_VARIABLE: Final = "SMART_AUDIT_CONFIG_DIR"
DEFAULT_PROFILE: Final = "default"
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LOOK_AGAIN_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Profile:
    """Where a gateway is. ca_file: a PEM file to trust instead of the system's certificates."""

    name: str = DEFAULT_PROFILE
    address: str = DEFAULT_ADDRESS
    ca_file: str = ""


KEYS: Final = tuple(one.name for one in fields(Profile) if one.name != "name")
"""What a profile may say."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a profile is logged in with, and the address it is for: it is sent to no other."""

    address: str = ""
    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)


class Profiles:
    """The profiles of one configuration folder.

    Every method raises ConfigError for a file, a profile or a value that cannot be used, and
    OSError when a file cannot be read or written. Writers keep what they do not know, comments
    included, and take turns, so that two processes do not undo each other's changes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of_user(cls) -> Self:
        """Those in $SMART_AUDIT_CONFIG_DIR, else in the user's configuration folder."""
        named = os.environ.get(FOLDER_VARIABLE, "")
        return cls(
            Path(named) if named else platformdirs.user_config_path("smart-audit", appauthor=False)
        )

    @property
    def config_file(self) -> Path:
        """The file with the profiles."""
        return self._folder / "config.toml"

    @property
    def credentials_file(self) -> Path:
        """The file with their tokens and keys."""
        return self._folder / "credentials.toml"

    @property
    def default(self) -> str:
        """The profile that is meant when none is named."""
        name = _read(self.config_file).get("default_profile", DEFAULT_PROFILE)
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigError(f"{self.config_file}: default_profile is not the name of a profile")
        return name

    def names(self) -> list[str]:
        """The profiles that are there, sorted."""
        return sorted(_tables(self.config_file))

    def read(self, name: str = "") -> Profile:
        """A profile, the default one if none is named; that one need not be there."""
        name = name or self.default
        stated = _tables(self.config_file).get(name)
        if stated is None and name != DEFAULT_PROFILE:
            raise ConfigError(
                f"there is no profile {name!r} in {self.config_file}; "
                f"make it: smart-audit config set --profile {name} address host:port"
            )
        return Profile(name, **self._checked(name, stated or {}))

    def set(self, name: str, key: str, value: str) -> None:
        """Set a value of a profile, which is made if it is not there; an empty one is removed."""
        _require_name(name)
        self._checked(name, {key: value})
        with self._changing(self.config_file) as document:
            table = document.setdefault("profiles", {}).setdefault(name, {})
            if value:
                table[key] = value
            else:
                table.pop(key, None)

    def choose(self, name: str) -> None:
        """Make a profile the default one."""
        self.read(name)
        with self._changing(self.config_file) as document:
            document["default_profile"] = name

    def remove(self, name: str) -> None:
        """Remove a profile with what it is logged in with; one that is not there is no error."""
        self.forget(name)
        with self._changing(self.config_file) as document:
            document.get("profiles", {}).pop(name, None)

    def credentials(self, name: str) -> Credentials:
        """What a profile is logged in with; empty when it is not."""
        self._require_private()
        stated = _tables(self.credentials_file).get(name, {})
        known = {one.name for one in fields(Credentials)}
        return Credentials(**{key: str(value) for key, value in stated.items() if key in known})

    def keep(self, name: str, credentials: Credentials) -> None:
        """Remember what a profile is logged in with, instead of what was there."""
        _require_name(name)
        stated = {one.name: getattr(credentials, one.name) for one in fields(Credentials)}
        with self._changing(self.credentials_file) as document:
            document.setdefault("profiles", {})[name] = {k: v for k, v in stated.items() if v}

    def forget(self, name: str) -> None:
        """Remember nothing that a profile was logged in with."""
        with self._changing(self.credentials_file) as document:
            document.get("profiles", {}).pop(name, None)

    @asynccontextmanager
    async def renewing(self) -> AsyncIterator[None]:
        """Nobody else renews tokens meanwhile, in this process or another.

        A refresh token works once: who comes second has to read what the first has written.
        """
        private_files.make_folder(self._folder)
        with (self._folder / "renewing.lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    await asyncio.sleep(_LOOK_AGAIN_S)
                else:
                    break
            yield

    def _checked(self, name: str, stated: dict[str, Any]) -> dict[str, str]:
        for key, value in stated.items():
            place = f"{self.config_file}: {key} of profile {name}"
            if key not in KEYS:
                raise ConfigError(f"{place}: there are {', '.join(KEYS)}")
            if not isinstance(value, str):
                raise ConfigError(f"{place} has to be text")
            if key == "address" and value:
                Address.parse(value)
        return stated

    def _require_private(self) -> None:
        path = self.credentials_file
        if path.exists() and path.stat().st_mode & 0o077:
            raise ConfigError(f"others may read {path}; run: chmod 600 {path}")

    @contextmanager
    def _changing(self, path: Path) -> Iterator[MutableMapping[str, Any]]:
        """A document to change, which is written at the end."""
        # It keeps comments, and takes its time to import: only who writes needs it.
        import tomlkit  # noqa: PLC0415

        private_files.make_folder(self._folder)
        with (self._folder / "writing.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _read(path)
            document = tomlkit.parse(path.read_text(encoding="utf-8") if path.exists() else "")
            yield document
            private_files.write(path, tomlkit.dumps(document))


def _tables(path: Path) -> dict[str, dict[str, Any]]:
    tables = _read(path).get("profiles", {})
    if not isinstance(tables, dict) or not all(isinstance(one, dict) for one in tables.values()):
        raise ConfigError(f"{path}: each profile is a table [profiles.NAME]")
    return tables


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is no name of a profile: take up to 64 letters, digits, - and _"
        )
