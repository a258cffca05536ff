"""List a person's factors, and what all changes of them share."""

from dataclasses import dataclass
from typing import Any

from smart_audit.auth.domain import Acting, Outcome, User
from smart_audit.auth.errors import FactorNotFound, FactorRequired
from smart_audit.auth.factors import Factors, methods
from smart_audit.auth.recovery_codes import CODES, new_recovery_code, recovery_code_hash
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.accounts import the_user
from smart_audit.auth.use_cases.common import Deps, Work, decision, record
from smart_audit.auth.use_cases.notices import notify
from smart_audit.auth.use_cases.sessions import end_other_sessions


@dataclass(frozen=True, slots=True)
class ListedFactors:
    """A person's factors, and whether the last one has to stay."""

    factors: Factors
    required: bool


async def list_factors(acting: Acting, work: Work) -> ListedFactors:
    """The caller's factors."""
    user_id = acting.me.user_id
    async with work.within(None, user_id) as repositories:
        factors = await repositories.factors.of(user_id)
        required = await repositories.organisations.require_second_factor(user_id)
        return ListedFactors(factors, required)


async def regenerate_recovery_codes(
    acting: Acting, work: Work, deps: Deps, *, end_others: bool
) -> list[str]:
    """New recovery codes instead of all older ones. Raises: FactorNotFound."""
    async with work.within(None, acting.me.user_id) as repositories:
        user, factors = await own_factors(acting, repositories)
        if not factors.count:
            raise FactorNotFound("recovery codes stand in for a factor: add an app or a passkey")
        codes = await new_codes(user, repositories, deps)
        await changed(
            "recovery_codes.made", user, acting, repositories, deps, end_others=end_others
        )
        return codes


async def own_factors(acting: Acting, repositories: Repositories) -> tuple[User, Factors]:
    """The caller, locked so that changes follow each other, and the caller's factors.

    Raises: UserNotFound.
    """
    user = await the_user(acting.me.user_id, repositories)
    return user, await repositories.factors.of(user.id)


async def new_codes(user: User, repositories: Repositories, deps: Deps) -> list[str]:
    """Make new recovery codes; they are known here and never again."""
    codes = [new_recovery_code(deps.new_secret()) for _ in range(CODES)]
    await repositories.factors.replace_codes(user.id, map(recovery_code_hash, codes), deps.now())
    return codes


async def used_in_session(amr: tuple[str, ...], acting: Acting, repositories: Repositories) -> None:
    """Count a factor as used in the session that has just added it."""
    session = await repositories.sessions.get(acting.me.session_id, lock=True)
    if session is not None:
        both = session.authenticated(session.authenticated_at, methods(session.amr, amr))
        await repositories.sessions.authenticated(both)


async def check_last(user: User, factors: Factors, repositories: Repositories) -> None:
    """Raises: FactorRequired when the only factor is to go, and an organisation requires one."""
    if factors.count == 1 and await repositories.organisations.require_second_factor(user.id):
        raise FactorRequired(
            "an organisation of yours requires a second factor: add another one first"
        )


async def removed(user: User, before: Factors, repositories: Repositories, deps: Deps) -> None:
    """Forget the recovery codes with the last factor that they could stand in for."""
    if before.count == 1:
        await repositories.factors.replace_codes(user.id, (), deps.now())


async def changed(
    what: str,
    user: User,
    acting: Acting,
    repositories: Repositories,
    deps: Deps,
    *,
    end_others: bool,
    targets: tuple[tuple[str, str], ...] = (),
    **facts: Any,
) -> None:
    """Tell the person of a change, record it, and end the other sessions if asked."""
    ended = []
    if end_others:
        ended = await end_other_sessions(user.id, acting.me.session_id, repositories, deps)
    await notify(user, what, acting, repositories, deps)
    event = decision(
        acting,
        Outcome.SUCCESS,
        acting.organisation_id,
        deps,
        user=user,
        targets=(*targets, *(("session", str(session.id)) for session in ended)),
        **facts,
    )
    await record(event, repositories)
