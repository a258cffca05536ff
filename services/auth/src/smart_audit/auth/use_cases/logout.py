"""End the caller's session."""

from smart_audit.auth.domain import Acting, Outcome
from smart_audit.auth.use_cases.common import Deps, Work, decision, record
from smart_audit.auth.use_cases.sessions import end_sessions


async def logout(acting: Acting, work: Work, deps: Deps) -> None:
    """End the session that calls; ending it again changes nothing."""
    me = acting.me
    async with work.within(None, me.user_id) as repositories:
        session = await repositories.sessions.get(me.session_id, lock=True)
        if session is None or not session.is_live(deps.now()):
            return
        await end_sessions([session], repositories, deps)
        event = decision(
            acting,
            Outcome.SUCCESS,
            session.organisation_id,
            deps,
            targets=(("session", str(session.id)),),
        )
        await record(event, repositories)
