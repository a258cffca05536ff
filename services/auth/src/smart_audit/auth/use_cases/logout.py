"""End a session."""

from smart_audit.auth.domain import Client, Outcome, SessionId
from smart_audit.auth.use_cases.common import Deps, Work, decision, record

ACTION = "auth.logout"


async def logout(session_id: SessionId, client: Client, work: Work, deps: Deps) -> None:
    """End a session; ending it again changes nothing."""
    async with work.begin() as repositories:
        now = deps.now()
        session = await repositories.sessions.get(session_id, lock=True)
        if session is None or not session.is_live(now):
            return
        await repositories.sessions.end(session.ended(now))
        event = decision(
            ACTION,
            Outcome.SUCCESS,
            session.organisation_id,
            client,
            deps,
            user_id=session.user_id,
            targets=(("session", str(session.id)),),
        )
        await record(event, repositories)
