"""Who presents an API key: OAuth calls it a client.

A client sends one key many times, so keys that were found good are remembered for a minute, by
digest; then they are looked up again, which also notes their use. What can change meanwhile is
looked at each time: the key's lifetime, and revocations.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from smart_audit.auth.domain import token_hash
from smart_audit.auth.errors import ClientInvalid
from smart_audit.auth.machines import Machine, is_api_key
from smart_audit.auth.repository import Repositories, Work
from smart_audit.core.revocations import Revocations, SessionEnded, session_key, user_key

KNOWN_FOR = timedelta(minutes=1)
REMEMBERED_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client says it is, and its API key."""

    client_id: str
    secret: str = field(repr=False)


# What cannot be read authenticates nobody.
NOBODY = Credentials("", "")


@dataclass(frozen=True, slots=True)
class _Known:
    machine: Machine
    found_at: datetime
    revocation_keys: tuple[bytes, ...]


class Clients:
    """Authenticates clients by their API keys."""

    def __init__(self, work: Work, revocations: Revocations, now: Callable[[], datetime]) -> None:
        self._work = work
        self._revocations = revocations
        self._now = now
        self._known: dict[bytes, _Known] = {}

    async def authenticate(self, credentials: Credentials) -> Machine:
        """The machine that an API key belongs to. Raises: ClientInvalid, Unavailable."""
        digest = token_hash(credentials.secret)
        machine = self._remembered(digest)
        if machine is None:
            async with self._work.everywhere() as repositories:
                machine = await find_machine(credentials, self._now, repositories)
                found_at = self._now()
            if machine is None or not machine.may_act(found_at):
                raise client_invalid()
            self._remember(digest, machine, found_at)
        if not machine.goes_by(credentials.client_id):
            raise client_invalid()
        return machine

    def _remembered(self, digest: bytes) -> Machine | None:
        """Raises: Unavailable when revocations are not known now."""
        known = self._known.get(digest)
        if known is None:
            return None
        now = self._now()
        if now - known.found_at < KNOWN_FOR and known.machine.may_act(now):
            try:
                issued_at_ms = int(known.found_at.timestamp() * 1000)
                self._revocations.check(known.revocation_keys, issued_at_ms)
            except SessionEnded:
                pass
            else:
                return known.machine
        self._known.pop(digest, None)
        return None

    def _remember(self, digest: bytes, machine: Machine, found_at: datetime) -> None:
        while len(self._known) >= REMEMBERED_KEYS:
            del self._known[next(iter(self._known))]
        keys = (session_key(machine.key.id), user_key(machine.account.id))
        self._known[digest] = _Known(machine, found_at, keys)


async def find_machine(
    credentials: Credentials, now: Callable[[], datetime], repositories: Repositories
) -> Machine | None:
    """The machine that credentials belong to, whether it may act or not; notes the key's use.

    Until the end of the transaction its key cannot be revoked, nor the account be disabled.
    """
    # The checksum tells most of what is no key, without asking the database.
    if not is_api_key(credentials.secret):
        return None
    digest = token_hash(credentials.secret)
    at = now()
    await repositories.api_keys.used(digest, at, at - KNOWN_FOR)
    machine = await repositories.api_keys.find(digest)
    return machine if machine and machine.goes_by(credentials.client_id) else None


def client_invalid() -> ClientInvalid:
    """The one answer to all credentials that do not work, whatever is wrong with them."""
    return ClientInvalid(
        "the client is unknown, or its API key is wrong, expired or revoked; client_id is the "
        "service account's id or the key's prefix, client_secret is the API key"
    )
