"""Cosignatures of witnesses: what to ask for, what to keep, what satisfies the policy."""

from collections.abc import Sequence
from dataclasses import replace
from hmac import compare_digest

from smart_audit.audit.domain import OrganisationId, StoredCheckpoint
from smart_audit.audit.errors import CheckpointNotFound, LogDamaged
from smart_audit.audit.repository import Database
from smart_audit.audit.repository.checkpoints import CheckpointStore, organisations_to_cosign
from smart_audit.audit.use_cases.checkpoint import Checkpointing, Signed
from smart_audit.audit.use_cases.prove import prove_consistency
from smart_audit.tlog.add_checkpoint import AddCheckpoint
from smart_audit.tlog.cosignature import CosignatureVerifier
from smart_audit.tlog.note import NoteError, NoteSignature, NoteVerifier, Verifier, open_note, parse
from smart_audit.tlog.policy import NO_QUORUM, Policy

PAGE = 100
# Base64 characters that say nothing but the key's id, of the 32 bits of which they hold 30.
KEY_ID_CHARACTERS = 5


async def logs_to_cosign(
    witness: CosignatureVerifier, database: Database
) -> Sequence[OrganisationId]:
    """The logs whose latest checkpoint the witness has not cosigned."""
    async with database.everywhere() as connection:
        return await organisations_to_cosign(connection, _line_start(witness.name, witness.key_id))


def is_cosigned(checkpoint: StoredCheckpoint, name: str, key_id: bytes) -> bool:
    """Whether a checkpoint has the cosignature of a witness's key."""
    start = _line_start(name, key_id)
    return any(line.startswith(start) for line in checkpoint.cosignatures)


async def latest_checkpoint(
    organisation_id: OrganisationId, database: Database
) -> StoredCheckpoint:
    """The checkpoint that was signed last. Raises: LogDamaged if there is none."""
    async with database.transaction(organisation_id) as connection:
        store = CheckpointStore(connection, organisation_id)
        _, count = await store.head()
        latest = await store.get(count - 1)
    if latest is None:
        raise LogDamaged("the latest checkpoint of the log is missing")
    return latest


async def ask_for_extension(
    checkpoint: StoredCheckpoint, old_size: int, database: Database
) -> AddCheckpoint:
    """The request to cosign a checkpoint, with the proof that it extends `old_size` entries.

    Raises: LogDamaged.
    """
    if not old_size:
        return AddCheckpoint(0, (), checkpoint.note)
    proof = await prove_consistency(checkpoint.organisation_id, old_size, checkpoint.size, database)
    return AddCheckpoint(old_size, tuple(proof.hashes), checkpoint.note)


async def add_cosignature(
    checkpoint: StoredCheckpoint,
    signature: NoteSignature,
    database: Database,
    deps: Checkpointing,
) -> None:
    """Keep a verified cosignature of a checkpoint. One more of the same key changes nothing.

    Raises: LogDamaged.
    """
    async with database.transaction(checkpoint.organisation_id) as connection:
        store = CheckpointStore(connection, checkpoint.organisation_id)
        stored = await store.get(checkpoint.number, lock=True)
        # A row that is not ours must not be given a new MAC.
        if (
            stored is None
            or stored.note != checkpoint.note
            or not compare_digest(stored.mac, deps.keys.mac(stored))
        ):
            raise LogDamaged(f"checkpoint {checkpoint.number} of the log is damaged")
        if is_cosigned(stored, signature.name, signature.key_id):
            return
        lines = (*stored.cosignatures, signature.line().rstrip("\n"))
        cosigned = replace(stored, cosignatures=lines)
        await store.set_cosignatures(replace(cosigned, mac=deps.keys.mac(cosigned)))


async def get_cosigned_checkpoint(
    organisation_id: OrganisationId, database: Database, deps: Checkpointing
) -> Signed:
    """The latest checkpoint whose cosignatures satisfy the installation's policy.

    Raises: CheckpointNotFound.
    """
    policy = deps.policy
    if policy is None:
        raise CheckpointNotFound(
            "this installation has no witnesses: name some in AUDIT_WITNESS_POLICY_FILE"
        )
    async with database.transaction(organisation_id) as connection:
        store = CheckpointStore(connection, organisation_id)
        keys = [deps.keys.open(key) for key in reversed(await store.keys())]
        verifier_keys = deps.keys.verifier_keys(organisation_id, keys)
        before = None
        while page := await store.page(before, PAGE, cosigned=policy.quorum != NO_QUORUM):
            for checkpoint in page:
                if signed := _satisfying(checkpoint, verifier_keys, policy):
                    return signed
            before = page[-1].number
    raise CheckpointNotFound(
        f"the witnesses of quorum {policy.quorum} have cosigned no checkpoint of this log yet: "
        "they are asked in the background, so try again later",
        quorum=policy.quorum,
    )


def _satisfying(
    checkpoint: StoredCheckpoint, verifier_keys: Sequence[str], policy: Policy
) -> Signed | None:
    """The checkpoint with the log's keys that signed it, if it satisfies the policy."""
    logs = {key: Verifier.parse(key) for key in verifier_keys}
    known: list[NoteVerifier] = [
        *logs.values(),
        *(witness.verifier for witness in policy.witnesses),
    ]
    try:
        # Verifying is dear, and most of those that fail do so for a witness that is missing.
        if not policy.satisfied(parse(checkpoint.cosigned_note).signatures):
            return None
        note = open_note(checkpoint.cosigned_note, known)
    except NoteError:
        return None
    ids = {signature.key_id for signature in note.verified}
    signed_by = [key for key, verifier in logs.items() if verifier.key_id in ids]
    if not signed_by or not policy.satisfied(note.verified):
        return None
    return Signed(checkpoint, signed_by)


def _line_start(name: str, key_id: bytes) -> str:
    """How a witness's signature lines begin."""
    line = NoteSignature(name, key_id, b"\0").line()
    return line[: line.rindex(" ") + 1 + KEY_ID_CHARACTERS]
