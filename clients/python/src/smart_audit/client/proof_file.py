"""Checking one event offline: what a file proves under known keys, and nothing more.

Four kinds of files hold a proof:

- a C2SP tlog-proof, as GetEventProof and DiscloseEvent give it;
- the JSON answer of GetEvent with `proof=true`, and that of DiscloseEvent;
- the JSON answer of RecordEvent, a receipt; the checkpoint comes in a file of its own.

Source: docs/log-format.md.
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client.leaf import event_of
from smart_audit.client.verification import (
    SignedCheckpoint,
    VerificationError,
    check_path,
    check_shown,
    open_event,
    read_checkpoint,
)
from smart_audit.tlog.hashing import leaf_hash
from smart_audit.tlog.leaf import LeafError, OpenedLeaf
from smart_audit.tlog.tlog_proof import ProofFileError, TlogProof

MAX_SIZE: Final = 16 * 1024 * 1024  # bytes
_MAGIC: Final = b"c2sp.org/tlog-proof@"
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)

_M = TypeVar("_M", bound=Message)


class UnreadableError(Exception):
    """A file that holds no proof of a known kind; the message says why."""


@dataclass(frozen=True, slots=True)
class Proven:
    """What a file proves.

    log_index and leaf_hash (32 bytes): the entry. opened: its leaf with the disclosures that are
    shown, and event: what these state; both None for a receipt, which proves a hash alone.
    """

    checkpoint: SignedCheckpoint
    log_index: int
    leaf_hash: bytes
    opened: OpenedLeaf | None = None
    event: audit_pb2.Event | None = None


@dataclass(frozen=True, slots=True)
class _Claim:
    """An event, and what is said to prove it."""

    leaf: bytes
    disclosures: Sequence[str]
    log_index: int
    hashes: Sequence[bytes]
    note: str


def check_file(data: bytes, keys: Sequence[str], checkpoint: bytes | None = None) -> Proven:
    """Verify a proof.

    keys: verifier keys; each must have signed the checkpoint. checkpoint: the content of a file
    with a note, or with the JSON answer of GetCheckpoint; for a receipt, which has none.

    Raises: UnreadableError, VerificationError.
    """
    if len(data) > MAX_SIZE:
        raise UnreadableError(f"it has more than {MAX_SIZE} bytes")
    try:
        if data.startswith(_MAGIC):
            _require_none(checkpoint)
            return _check_claim(_read_tlog_proof(data), keys)
        content = _read_object(data)
        if "receipt" in content:
            return _check_receipt(
                _message(content, audit_pb2.RecordEventResponse()), checkpoint, keys
            )
        _require_none(checkpoint)
        if "proof_file" in content or "proof" in content:
            return _check_disclosed(_message(content, audit_pb2.DiscloseEventResponse()), keys)
        return _check_event(_message(content, audit_pb2.GetEventResponse()), keys)
    except RecursionError as error:
        raise UnreadableError("it is nested too deep") from error


def _check_claim(claim: _Claim, keys: Sequence[str]) -> Proven:
    """Raises: VerificationError."""
    signed = read_checkpoint(claim.note, *keys)
    opened = open_event(claim.leaf, claim.disclosures)
    try:
        event = event_of(opened, claim.log_index)
    except (LeafError, ValueError) as error:
        raise VerificationError(f"the leaf cannot be believed: {error}") from error
    _require_log(signed, event.organisation_id)
    computed = leaf_hash(claim.leaf)
    check_path(computed, claim.log_index, claim.hashes, signed)
    return Proven(signed, claim.log_index, computed, opened, event)


def _check_event(answer: audit_pb2.GetEventResponse, keys: Sequence[str]) -> Proven:
    """Raises: UnreadableError, VerificationError."""
    if not answer.leaf:
        raise UnreadableError("it holds no leaf, so it is none of the kinds of files with a proof")
    if not answer.checkpoint or not answer.HasField("inclusion_proof"):
        raise UnreadableError("it holds no proof: ask for the event with proof=true")
    proof = audit_pb2.EventProof(
        leaf=answer.leaf, disclosures=answer.disclosures, inclusion_proof=answer.inclusion_proof
    )
    if answer.leaf_hash != answer.inclusion_proof.leaf_hash:
        raise VerificationError("leaf_hash is not that of the inclusion proof")
    return _check_shown(answer.event, proof, answer.checkpoint, keys)


def _check_disclosed(answer: audit_pb2.DiscloseEventResponse, keys: Sequence[str]) -> Proven:
    """Raises: UnreadableError, VerificationError."""
    if not answer.checkpoint or not answer.HasField("proof"):
        raise UnreadableError("it holds no checkpoint, or no proof")
    proven = _check_shown(answer.event, answer.proof, answer.checkpoint, keys)
    try:
        same = _check_claim(_read_tlog_proof(answer.proof_file.encode()), keys)
    except UnreadableError as error:
        raise VerificationError(f"proof_file: {error}") from error
    except VerificationError as error:
        raise VerificationError(f"proof_file: {error}") from error
    # Which fields were erased is not in the file.
    same.event.erased_fields.extend(answer.event.erased_fields)  # type: ignore[union-attr]
    if same != proven:
        raise VerificationError("proof_file proves something else than what stands beside it")
    return proven


def _check_shown(
    event: audit_pb2.Event, proof: audit_pb2.EventProof, note: str, keys: Sequence[str]
) -> Proven:
    """Raises: VerificationError."""
    path = proof.inclusion_proof
    claim = _Claim(proof.leaf, proof.disclosures, path.log_index, path.hashes, note)
    proven = _check_claim(claim, keys)
    _require_beside(path, proven)
    if event.log_index != proven.log_index:
        raise VerificationError("the event's log_index is not that of the proof")
    check_shown(event, proof.leaf, proof.disclosures)
    return Proven(proven.checkpoint, proven.log_index, proven.leaf_hash, proven.opened, event)


def _check_receipt(
    answer: audit_pb2.RecordEventResponse, checkpoint: bytes | None, keys: Sequence[str]
) -> Proven:
    """Raises: UnreadableError, VerificationError."""
    if checkpoint is None:
        raise UnreadableError("a receipt holds no checkpoint: give the file that holds one")
    signed = read_checkpoint(_read_note(checkpoint), *keys)
    receipt, proof = answer.receipt, answer.receipt.proof
    if proof.tree_size != signed.size:
        raise VerificationError(
            f"the receipt leads to the tree of {proof.tree_size} entries, and the checkpoint is of "
            f"{signed.size}; ask for the event with proof=true instead"
        )
    check_path(proof.leaf_hash, proof.log_index, proof.hashes, signed)
    proven = Proven(signed, proof.log_index, proof.leaf_hash)
    _require_beside(proof, proven)
    _require_log(signed, receipt.organisation_id)
    return proven


def _require_beside(proof: audit_pb2.InclusionProof, proven: Proven) -> None:
    """What a proof says beside its path is not needed; a person may read it all the same.

    Raises: VerificationError.
    """
    signed = proven.checkpoint
    for name, said, true in (
        ("tree_size", proof.tree_size, signed.size),
        ("root_hash", proof.root_hash, signed.root),
        ("leaf_hash", proof.leaf_hash, proven.leaf_hash),
    ):
        if said != true:
            raise VerificationError(f"the inclusion proof's {name} is not the true one")


def _require_log(signed: SignedCheckpoint, organisation_id: str) -> None:
    """Raises: VerificationError."""
    if not signed.origin.endswith(f"/{organisation_id}"):
        raise VerificationError(
            f"the checkpoint is of {signed.origin}, the event of organisation {organisation_id}"
        )


def _read_tlog_proof(data: bytes) -> _Claim:
    """Raises: UnreadableError."""
    try:
        file = TlogProof.parse(data)
    except ProofFileError as error:
        raise UnreadableError(str(error)) from error
    if not file.extra:
        raise UnreadableError("the proof has no extra data, and so no leaf")
    try:
        leaf, *disclosures, end = file.extra.decode("ascii").split("~")
        if end:
            raise ValueError("it does not end with '~'")  # noqa: TRY301
        return _Claim(_leaf(leaf), disclosures, file.index, file.path, file.note)
    except ValueError as error:
        raise UnreadableError("the proof's extra data is not a leaf and its disclosures") from error


def _leaf(text: str) -> bytes:
    """Raises: ValueError."""
    if not _BASE64URL.fullmatch(text):
        raise ValueError("it is not base64url")
    leaf = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    # Base64 leaves bits over at the end: several spellings decode to the same bytes.
    if urlsafe_b64encode(leaf).rstrip(b"=").decode() != text:
        raise ValueError("it is not canonical base64url")
    return leaf


def _read_note(data: bytes) -> str:
    """The note in a file, or in the answer of GetCheckpoint. Raises: UnreadableError."""
    if not data.lstrip().startswith(b"{"):
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise UnreadableError("the checkpoint is not UTF-8") from error
    answer = _message(_read_object(data), audit_pb2.GetCheckpointResponse())
    return answer.note


def _read_object(data: bytes) -> dict[str, Any]:
    """Raises: UnreadableError."""
    try:
        content = json.loads(data.decode(), object_pairs_hook=_once)
        # Half a surrogate pair, written as an escape, is text to Python and a crash to protobuf.
        json.dumps(content, ensure_ascii=False).encode()
    except ValueError as error:
        raise UnreadableError(f"it is neither a tlog-proof nor JSON: {error}") from error
    if not isinstance(content, dict):
        raise UnreadableError("it is JSON, but no object")
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a member is given twice")
    return content


def _message(content: dict[str, Any], message: _M) -> _M:
    """Raises: UnreadableError, for members too that the answer does not have."""
    try:
        return json_format.ParseDict(content, message)
    except json_format.ParseError as error:
        why = str(error).partition("\n")[0]
        raise UnreadableError(f"it is no {message.DESCRIPTOR.name}: {why}") from error


def _require_none(checkpoint: bytes | None) -> None:
    """Raises: UnreadableError."""
    if checkpoint is not None:
        raise UnreadableError("it has a checkpoint of its own: give no other")
