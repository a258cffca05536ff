"""The logs that a witness knows: whose checkpoints it cosigns, by the log's origin."""

from collections.abc import Iterable
from uuid import UUID

from smart_audit.tlog.note import NoteError, Verifier
from smart_audit.tlog.policy import Policy, PolicyError


class UnknownKey(ValueError):
    """A key or a file of keys that cannot be used; the message says why."""


class KnownLogs:
    """The keys that are trusted for an origin. A key never vouches for another name than its own.

    logs: verifier keys; the name of each is the origin of its log.
    installations: verifier keys of any log of a Smart Audit installation, whose logs all have the
    same key, and origins that differ in their last part only, a UUID. All of them are known then.
    """

    def __init__(self, logs: Iterable[Verifier], installations: Iterable[Verifier] = ()) -> None:
        self._logs: dict[str, list[Verifier]] = {}
        for log in logs:
            self._logs.setdefault(log.name, []).append(log)
        self._installations: dict[str, list[bytes]] = {}
        for log in installations:
            prefix = _prefix(log.name)
            if prefix is None:
                raise UnknownKey(
                    f"{log.name} does not end with /<uuid>, as a log of an installation does"
                )
            self._installations.setdefault(prefix, []).append(log.public_key)

    def __bool__(self) -> bool:
        return bool(self._logs or self._installations)

    def verifiers(self, origin: str) -> list[Verifier]:
        """The trusted keys of a log; none for a log that is not known."""
        shared = self._installations.get(_prefix(origin) or "", [])
        return list({*self._logs.get(origin, []), *(Verifier(origin, key) for key in shared)})


def read_key(verifier_key: str) -> Verifier:
    """A log's key as it is given on a command line. Raises: UnknownKey."""
    try:
        return Verifier.parse(verifier_key)
    except NoteError as error:
        raise UnknownKey(str(error)) from error


def read_policy(data: bytes) -> list[Verifier]:
    """The keys of the log lines of a C2SP tlog-policy. Raises: UnknownKey."""
    try:
        return [log.verifier for log in Policy.parse(data).logs]
    except PolicyError as error:
        raise UnknownKey(str(error)) from error


def _prefix(origin: str) -> str | None:
    """What precedes the UUID of an origin; None if it ends with none in its one spelling."""
    prefix, _, last = origin.rpartition("/")
    try:
        return prefix if prefix and str(UUID(last)) == last else None
    except ValueError:
        return None
