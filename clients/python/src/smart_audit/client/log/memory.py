"""What was verified of a log the last time, kept on this machine.

Only a state that is remembered elsewhere shows that a log was rolled back or forked: the service
itself can sign any. One file for each log, named by the organisation that the caller asks for, not
by the name that the log gives itself: else a service could be forgotten by another name.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from smart_audit.client import private_files
from smart_audit.client.verification import SignedCheckpoint, VerificationError, read_checkpoint

_VERSION: Final = 1


class MemoryFault(Exception):
    """A file of the memory that cannot be believed; the message says which, and what to do."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """The state of a log that was verified last. verified_at: UTC. path: the file it is kept in."""

    signed: SignedCheckpoint
    verified_at: datetime
    path: Path


class Memory:
    """A folder of remembered states."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, organisation_id: str) -> Path:
        """The file of one log."""
        return self._folder / f"{organisation_id}.json"

    def recall(self, organisation_id: str) -> Remembered | None:
        """What was verified of a log last; None for the first time.

        Raises: MemoryFault; OSError when the file is there and cannot be read.
        """
        path = self.path(organisation_id)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            raise _unbelievable(path, error) from error
        try:
            content: Any = json.loads(text)
            if content["version"] != _VERSION:
                raise ValueError(f"its version is not {_VERSION}")  # noqa: TRY301
            signed = read_checkpoint(content["checkpoint"], *content["keys"])
            verified_at = datetime.fromisoformat(content["verified_at"]).astimezone(UTC)
        except (ValueError, LookupError, TypeError, AttributeError, VerificationError) as error:
            raise _unbelievable(path, error) from error
        return Remembered(signed, verified_at, path)

    def keep(self, organisation_id: str, signed: SignedCheckpoint, verified_at: datetime) -> None:
        """Remember a state; a longer one that is remembered by now stays.

        Raises: MemoryFault, OSError.
        """
        # Somebody else may have verified the log while we did, and more of it.
        newer = self.recall(organisation_id)
        if newer is not None and newer.signed.size > signed.size:
            return
        content = {
            "version": _VERSION,
            "verified_at": verified_at.isoformat(timespec="seconds"),
            "keys": signed.verifier_keys,
            "checkpoint": signed.note,
        }
        private_files.make_folder(self._folder)
        private_files.write(self.path(organisation_id), json.dumps(content, indent=2) + "\n")


def _unbelievable(path: Path, error: Exception) -> MemoryFault:
    return MemoryFault(
        f"{path} is not what was written there ({error}); if you want to trust this log anew, "
        "remove the file"
    )
