"""Calls of audit that have read are events of the caller's log."""

from smart_audit.audit.servicer.caller import actor, organisation
from smart_audit.audit.use_cases.record_reads import Read, Reads, Sameness
from smart_audit.core.rpc.access import Rule
from smart_audit.core.rpc.context import Call, current_caller, current_client


class ReadCalls:
    """Records what calls note by `reading`, in the log of the organisation that the token names."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def record(self, call: Call, rule: Rule) -> None:
        """Tell of a call before its answer is sent. Raises: Unavailable, ResourceExhausted."""
        address, user_agent = current_client()
        same = Sameness(
            organisation_id=organisation(),
            by=actor(),
            marks=tuple(current_caller().marks.items()),
            address=address,
            action=call.action,
            target=call.read.target,
            what=tuple(sorted(call.read.what.items())),
        )
        goes_on, call.recorded = call.recorded, True
        read = Read(same, call.request_id, user_agent, call.read.results, rule.always, goes_on)
        await self._reads.record(read)
