"""Slow down whoever tries too often."""

from smart_audit.auth.domain import INSTALLATION, Acting, Outcome
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
    events. Nobody has been looked up yet: the event goes to the installation's own log.

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
                INSTALLATION,
                deps,
                email=account if "@" in account else "",
                reason=refusal.reason,
            )
            async with work.everywhere() as repositories:
                await record(event, repositories)
        raise
