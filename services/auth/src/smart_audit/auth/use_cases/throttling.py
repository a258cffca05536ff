"""Slow down whoever tries too often."""

from smart_audit.auth.domain import Acting, Outcome
from smart_audit.auth.errors import TooManyAttempts
from smart_audit.auth.use_cases.common import Deps, Work, decision, record


async def check_limits(
    kind: str,
    acting: Acting,
    work: Work,
    deps: Deps,
    *,
    account: str,
    organisation: str = "",
) -> None:
    """Count a try from the caller's address, before any work is done for it.

    See `Throttle.check`. A refusal is recorded once in a while, so that a flood of calls is none of
    events: in the log of the caller's organisation, or of the installation where nobody has been
    looked up yet.

    Raises: TooManyAttempts, Unavailable.
    """
    try:
        await deps.throttle.check(
            kind, account=account, address=acting.client.address, organisation=organisation
        )
    except TooManyAttempts as refusal:
        if refusal.is_news:
            event = decision(
                acting,
                Outcome.DENIED,
                acting.organisation_id,
                deps,
                email=account if "@" in account else "",
                reason=refusal.reason,
            )
            async with work.everywhere() as repositories:
                await record(event, repositories)
        raise
