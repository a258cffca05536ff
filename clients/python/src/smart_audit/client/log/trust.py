"""Whose signature a log's checkpoint has to carry, and what was known of the log before."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from smart_audit.client.log.files import FileFault, LogFiles
from smart_audit.client.log.memory import Remembered
from smart_audit.client.verification import (
    SignedCheckpoint,
    VerificationError,
    read_by_any,
    read_checkpoint,
)


class Trust(StrEnum):
    """Why the log's key is believed."""

    GIVEN = "given"
    REMEMBERED = "remembered"
    FIRST_USE = "first use"


@dataclass(frozen=True, slots=True)
class Earlier:
    """A state that the log was in once. what: how a person knows it."""

    signed: SignedCheckpoint
    what: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A log whose checkpoint was verified. replaced: remembered keys that are so no longer."""

    signed: SignedCheckpoint
    trust: Trust
    replaced: tuple[str, ...]


async def open_log(
    files: LogFiles, organisation_id: str, given: Sequence[str], remembered: Remembered | None
) -> Opened:
    """Fetch the log's checkpoint and verify its signature.

    The given keys must all have signed it; else one of the remembered; else, for the first time,
    one of those that the service gives.

    Raises: VerificationError, CallError.
    """
    try:
        note = await files.checkpoint()
        if given:
            signed, trust = read_checkpoint(note, *given), Trust.GIVEN
        elif remembered is not None:
            signed, trust = await _by_remembered(note, files, remembered), Trust.REMEMBERED
        else:
            signed, trust = read_by_any(note, await files.keys()), Trust.FIRST_USE
    except FileFault as fault:
        raise VerificationError(f"{fault.path}: {fault}") from fault
    _require_name(signed.origin, organisation_id, remembered)
    known = () if remembered is None else remembered.signed.verifier_keys
    return Opened(signed, trust, tuple(key for key in known if key not in signed.verifier_keys))


def require_not_rolled_back(earlier: Earlier, signed: SignedCheckpoint) -> None:
    """Refuse a log that is shorter than it was.

    Raises: VerificationError.
    """
    known = earlier.signed
    if known.origin != signed.origin:
        raise VerificationError(
            f"checkpoint: the log is {signed.origin}; {earlier.what} is of {known.origin}"
        )
    if known.size > signed.size:
        raise VerificationError(
            f"checkpoint: the log was rolled back: it has {_entries(signed.size)}, and had "
            f"{known.size} by {earlier.what}, which is signed"
        )


def forked(earlier: Earlier, root: bytes) -> str | None:
    """What is wrong when the log had this root at the earlier size; None if nothing is."""
    known = earlier.signed
    if root == known.root:
        return None
    return (
        f"the log was forked: its first {_entries(known.size)} make the root {root.hex()}, and by "
        f"{earlier.what}, which is signed, they made {known.root.hex()}"
    )


def _require_name(origin: str, organisation_id: str, remembered: Remembered | None) -> None:
    """Raises: VerificationError for the name of another log, or another name of this one."""
    if origin.rpartition("/")[2] != organisation_id:
        raise VerificationError(
            f"checkpoint: it is of {origin}, which is not the log of {organisation_id}"
        )
    if remembered is not None and remembered.signed.origin != origin:
        raise VerificationError(
            f"checkpoint: the log calls itself {origin} and was {remembered.signed.origin}; if "
            f"the installation was renamed, remove {remembered.path}"
        )


async def _by_remembered(note: str, files: LogFiles, remembered: Remembered) -> SignedCheckpoint:
    """Raises: VerificationError, which tells a new key from a bad signature."""
    keys = remembered.signed.verifier_keys
    try:
        return read_by_any(note, keys)
    except VerificationError:
        published = await files.keys()
        by_published = read_by_any(note, published)
    raise VerificationError(
        "checkpoint: the log's key has changed: the checkpoint is not signed by "
        f"{' or '.join(keys)}, but by {' and '.join(by_published.verifier_keys)}; once its owner "
        "has announced that, give the new key by --key"
    )


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"
