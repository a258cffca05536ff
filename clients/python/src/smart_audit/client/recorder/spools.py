"""The folder that processes share: one spool for each, and what those that died have left."""

import json
import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from google.protobuf.json_format import MessageToDict

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client import private_files
from smart_audit.client.recorder.counters import Tally
from smart_audit.client.recorder.spool import OWNER, SUFFIX, Spool, is_held

REFUSED: Final = "refused.jsonl"
_REFUSED_BYTES: Final = 16 * 1024 * 1024
_PREFIX: Final = "process-"
_ORGANISATION: Final = "organisation "
_KEY: Final = "key "
_NOBODY: Final = "nobody"

log = logging.getLogger("smart_audit.recorder")


class Spools:
    """One folder. max_bytes: of this process's own spool. sync: as `Spool` takes it.

    key: the id of the API key, empty for none. is_shared: by organisations; else what is there of
    an organisation that is not known is ours.

    Events never go into another organisation's log. So each spool says whose it is: an
    organisation's; or, until a key has been exchanged for the first time, that key's.
    """

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        tally: Tally,
        *,
        sync: bool,
        key: str = "",
        is_shared: bool = False,
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._tally = tally
        self._sync = sync
        self._key = f"{_KEY}{key}" if key else _NOBODY
        self._is_shared = is_shared
        self._told: set[Path] = set()

    def new(self, organisation: str) -> Spool:
        """A spool for this process; the organisation may not be known yet. Raises: OSError."""
        private_files.make_folder(self._folder)
        name = f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        spool = Spool(self._folder / name, self._max_bytes, self._tally, sync=self._sync)
        try:
            self.own(spool, organisation)
        except OSError:
            spool.close()
            raise
        return spool

    def own(self, spool: Spool, organisation: str) -> None:
        """Note whose events a spool of this process holds. Raises: OSError."""
        spool.own(f"{_ORGANISATION}{organisation}" if organisation else self._key)

    def left(self, organisation: str) -> Iterator[Spool]:
        """What processes that are gone have left of ours, the longest gone first.

        Raises: OSError.
        """
        folders = []
        for folder in self._folder.glob(f"{_PREFIX}*"):
            with suppress(FileNotFoundError):  # another process has just emptied it
                found = folder.lstat()
                # What another user has put there is not ours to vouch for.
                if found.st_uid == os.geteuid():
                    folders.append((found.st_mtime, folder))
        for _, folder in sorted(folders):
            try:
                owner = _owner(folder)
                if not self._is_ours(owner, organisation):
                    if organisation:
                        self._tell(folder, owner)
                    continue
                spool = Spool.adopt(folder, self._tally)
            except (OSError, ValueError) as error:
                # It must not keep the others from being sent.
                log.warning("%s cannot be read: %s", folder, error)
                continue
            if spool is None:
                continue
            if len(spool):
                yield spool
            else:
                spool.close()

    def _is_ours(self, owner: str, organisation: str) -> bool:
        if owner.startswith(_ORGANISATION):
            return owner == f"{_ORGANISATION}{organisation}"
        return not self._is_shared or (owner == self._key != _NOBODY)

    def _tell(self, folder: Path, owner: str) -> None:
        """Say once that something waits for somebody else."""
        if folder in self._told or is_held(folder) or not any(folder.glob(f"*{SUFFIX}")):
            return
        self._told.add(folder)
        log.warning("%s holds events of %s, and waits for its recorder", folder, owner)

    def set_aside(self, event: audit_pb2.Event, refusal: audit_pb2.Refusal) -> None:
        """Keep an event that the service does not take, for a person to look at. Raises: OSError.

        Once the file is full, more are only counted.
        """
        line = {
            "refused_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "reason": refusal.reason,
            "message": refusal.message,
            "fields": list(refusal.fields),
            "event": MessageToDict(event, preserving_proto_field_name=True),
        }
        path = self._folder / REFUSED
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_size < _REFUSED_BYTES:
                os.write(descriptor, json.dumps(line).encode() + b"\n")
        finally:
            os.close(descriptor)


def _owner(folder: Path) -> str:
    """Whose events are there. Raises: OSError, ValueError."""
    try:
        return (folder / OWNER).read_text(encoding="utf-8")
    except FileNotFoundError:
        return _NOBODY
