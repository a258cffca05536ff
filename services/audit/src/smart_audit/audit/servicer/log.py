"""LogService: from the wire to a use case and back."""

from typing import Any
from uuid import UUID

from smart_audit.api.audit.v1 import audit_pb2, audit_pb2_grpc
from smart_audit.audit.domain import EventId
from smart_audit.audit.messages.pages import to_number, to_number_token, to_page_size
from smart_audit.audit.messages.proofs import (
    from_checkpoint,
    from_consistency,
    from_inclusion,
    from_signed,
)
from smart_audit.audit.repository import Database
from smart_audit.audit.servicer.caller import organisation
from smart_audit.audit.use_cases.checkpoint import (
    Checkpointing,
    get_checkpoint,
    list_checkpoints,
)
from smart_audit.audit.use_cases.cosign import get_cosigned_checkpoint
from smart_audit.audit.use_cases.prove import prove_consistency, prove_inclusion


class LogServicer(audit_pb2_grpc.LogServiceServicer):
    """Proves what the log holds."""

    def __init__(self, database: Database, checkpointing: Checkpointing) -> None:
        self._database = database
        self._checkpointing = checkpointing

    async def GetCheckpoint(self, request: audit_pb2.GetCheckpointRequest, context: Any) -> Any:
        """Return the signed state of the log."""
        get = get_cosigned_checkpoint if request.cosigned else get_checkpoint
        signed = await get(organisation(), self._database, self._checkpointing)
        return from_signed(signed, self._checkpointing.keys.origin(organisation()))

    async def ListCheckpoints(self, request: audit_pb2.ListCheckpointsRequest, context: Any) -> Any:
        """Return a page of the checkpoints that have been signed."""
        own = organisation()
        found, end = await list_checkpoints(
            own, to_number(request, own), to_page_size(request), self._database
        )
        return audit_pb2.ListCheckpointsResponse(
            checkpoints=map(from_checkpoint, found),
            next_page_token=to_number_token(end, request, own),
        )

    async def GetInclusionProof(
        self, request: audit_pb2.GetInclusionProofRequest, context: Any
    ) -> Any:
        """Prove that an event is in a tree."""
        leaf: EventId | bytes | int
        match request.WhichOneof("leaf"):
            case "event_id":
                leaf = EventId(UUID(request.event_id))
            case "leaf_hash":
                leaf = request.leaf_hash
            case _:
                leaf = request.log_index
        proof = await prove_inclusion(organisation(), leaf, request.tree_size, self._database)
        return audit_pb2.GetInclusionProofResponse(proof=from_inclusion(proof))

    async def GetConsistencyProof(
        self, request: audit_pb2.GetConsistencyProofRequest, context: Any
    ) -> Any:
        """Prove that a tree extends an earlier one."""
        first: EventId | bytes | int = request.first_size
        if request.first_event_id:
            first = EventId(UUID(request.first_event_id))
        elif request.first_leaf_hash:
            first = request.first_leaf_hash
        proof = await prove_consistency(organisation(), first, request.second_size, self._database)
        return from_consistency(proof)
