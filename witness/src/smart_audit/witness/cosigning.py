"""The decision of a witness: cosign a checkpoint, or refuse it with the status that says why.

Source: C2SP tlog-witness, section "add-checkpoint".
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus

from smart_audit.tlog.add_checkpoint import (
    SIZE_CONTENT_TYPE,
    AddCheckpoint,
    AddCheckpointError,
    cosigned_body,
    size_body,
)
from smart_audit.tlog.checkpoint import Checkpoint
from smart_audit.tlog.cosignature import Cosigner
from smart_audit.tlog.hashing import EMPTY_ROOT
from smart_audit.tlog.note import Note, NoteError, open_note, parse
from smart_audit.tlog.proofs import ProofError, verify_consistency
from smart_audit.witness.known_logs import KnownLogs
from smart_audit.witness.store import Store

log = logging.getLogger(__name__)

TEXT = "text/plain"
NOTHING = Checkpoint("nothing", 0, EMPTY_ROOT)


class Refused(Exception):
    """A checkpoint that is not cosigned, and the reply that says so."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.body = f"{why}\n".encode()
        self.content_type = TEXT


class Stale(Refused):
    """The log does not know which state the witness cosigned last: its size is the reply."""

    def __init__(self, size: int) -> None:
        super().__init__(HTTPStatus.CONFLICT, f"the state cosigned last has {size} leaves")
        self.body = size_body(size)
        self.content_type = SIZE_CONTENT_TYPE


@dataclass(frozen=True, slots=True)
class Witness:
    """Cosigns checkpoints of known logs, each one consistent with all before it.

    now: seconds since the epoch.
    """

    logs: KnownLogs
    store: Store
    cosigner: Cosigner
    now: Callable[[], float]

    def add_checkpoint(self, body: bytes) -> bytes:
        """The signature line for the checkpoint in a request, once the state is durable.

        Raises: Refused.
        """
        try:
            request = AddCheckpoint.parse(body)
        except AddCheckpointError as error:
            raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from error
        checkpoint = request.checkpoint
        signed = self._signed_by_log(checkpoint.origin, request.note)
        if request.old_size > checkpoint.size:
            raise Refused(
                HTTPStatus.BAD_REQUEST,
                f"the old size {request.old_size} is more than the checkpoint's {checkpoint.size}",
            )
        cosignature = self.cosigner.cosign(checkpoint, int(self.now()))
        cosigned = replace(signed, signatures=(*signed.verified, cosignature)).serialise()

        def decide(latest: str | None) -> str:
            _require_extension(_state(latest), request)
            return cosigned

        # The cosignature leaves the house after this, or never.
        self.store.replace(checkpoint.origin, decide)
        return cosigned_body([cosignature])

    def _signed_by_log(self, origin: str, note: str) -> Note:
        """Raises: Refused."""
        verifiers = self.logs.verifiers(origin)
        if not verifiers:
            raise Refused(HTTPStatus.NOT_FOUND, f"the log {origin} is not known here")
        try:
            return open_note(note, verifiers)
        except NoteError as error:
            raise Refused(HTTPStatus.FORBIDDEN, str(error)) from error


def _state(latest: str | None) -> Checkpoint:
    return NOTHING if latest is None else Checkpoint.parse(parse(latest).text)


def _require_extension(state: Checkpoint, request: AddCheckpoint) -> None:
    """Raises: Refused."""
    if request.old_size != state.size:
        raise Stale(state.size)
    try:
        _verify_extension(state, request.checkpoint, request.path)
    except ProofError as error:
        # The log's own key has signed this: it is evidence, unless only the proof is wrong.
        log.warning("refused: %s; cosigned: %r; request: %r", error, state, request)
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error


def _verify_extension(state: Checkpoint, later: Checkpoint, path: Sequence[bytes]) -> None:
    """Raises: ProofError."""
    if state.size:
        verify_consistency(state.size, later.size, path, state.root, later.root)
    elif path:
        raise ProofError("there is nothing to prove from size 0")
    elif not later.size and later.root != EMPTY_ROOT:
        raise ProofError("the root is not that of the empty tree")
