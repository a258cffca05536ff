"""Where to call and as whom: arguments over the environment over the profile."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from smart_audit.client.address import Address
from smart_audit.client.config_error import CredentialsMalformed
from smart_audit.client.profiles import Credentials, Profiles

PROFILE_VARIABLE: Final = "SMART_AUDIT_PROFILE"
ADDRESS_VARIABLE: Final = "SMART_AUDIT_ADDRESS"
CA_FILE_VARIABLE: Final = "SMART_AUDIT_CA_FILE"
TOKEN_VARIABLE: Final = "SMART_AUDIT_TOKEN"  # noqa: S105  (a name, not a token)
API_KEY_VARIABLE: Final = "SMART_AUDIT_API_KEY"
_API_KEY_PREFIX: Final = "sa_"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where to call and as whom.

    profile: the one that was read; credentials: empty for a caller without a session.
    kept_in: the profiles that the credentials are of, None when the environment gave them.
    """

    address: str
    credentials: Credentials
    ca_file: Path | None = None
    profile: str = ""
    kept_in: Profiles | None = field(default=None, repr=False)

    @classmethod
    def read(
        cls,
        *,
        profile: str = "",
        address: str = "",
        profiles: Profiles | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> Self:
        """What the arguments say, else SMART_AUDIT_* in the environment, else the profile.

        What a profile is logged in with is used at the address that it is for, and nowhere else.
        Raises: ConfigError; OSError when a file cannot be read.
        """
        profiles = profiles or Profiles.of_user()
        stated = profiles.read(profile or environment.get(PROFILE_VARIABLE, ""))
        place = Address.parse(
            address or environment.get(ADDRESS_VARIABLE, "").strip() or stated.address
        )
        named = environment.get(CA_FILE_VARIABLE, "") or stated.ca_file
        ca_file = Path(named).expanduser() if named else None
        given = _given(environment)
        if given is not None:
            return cls(str(place), given, ca_file, stated.name)
        kept = profiles.credentials(stated.name)
        if not kept.address or Address.parse(kept.address) != place:
            return cls(str(place), Credentials(), ca_file, stated.name)
        return cls(str(place), kept, ca_file, stated.name, profiles)


def _given(environment: Mapping[str, str]) -> Credentials | None:
    """A token goes before an API key. Raises: ConfigError."""
    token = environment.get(TOKEN_VARIABLE, "").strip()
    if token:
        if not _is_one_word(token):
            raise CredentialsMalformed(f"the access token in {TOKEN_VARIABLE} is malformed")
        return Credentials(access_token=token)
    api_key = environment.get(API_KEY_VARIABLE, "").strip()
    if not api_key:
        return None
    if not (_is_one_word(api_key) and api_key.startswith(_API_KEY_PREFIX)):
        raise CredentialsMalformed(f"{API_KEY_VARIABLE} holds no API key: those begin with sa_")
    return Credentials(api_key=api_key)


def _is_one_word(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text
