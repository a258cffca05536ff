"""Links and codes that are sent by mail: each works once, for a short time."""

from datetime import timedelta
from typing import Any

from smart_audit.auth.domain import Challenge, UserId, token_hash
from smart_audit.auth.errors import LinkInvalid
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.common import Deps

VERIFY_EMAIL = "email.verify"
CHANGE_EMAIL = "email.change"
RESET_PASSWORD = "password.reset"  # noqa: S105  (a purpose)
LOGIN_CODE = "login.code"

LIFETIMES = {
    VERIFY_EMAIL: timedelta(days=1),
    CHANGE_EMAIL: timedelta(hours=1),
    RESET_PASSWORD: timedelta(minutes=30),
    LOGIN_CODE: timedelta(minutes=10),
}


async def new_link(
    purpose: str, user_id: UserId | None, repositories: Repositories, deps: Deps, **data: Any
) -> str:
    """The token of a new link, 256 bits. Nobody's works no more than one that was never made."""
    token, now = deps.new_secret(), deps.now()
    await repositories.challenges.add(
        Challenge(token_hash(token), purpose, user_id, data, now, now + LIFETIMES[purpose])
    )
    return token


async def follow(
    token: str, purpose: str, repositories: Repositories, deps: Deps
) -> tuple[Challenge, UserId]:
    """What a link is for, and whose it is, locked. Raises: LinkInvalid."""
    challenge = await repositories.challenges.find(token_hash(token), purpose, deps.now())
    if challenge is None or challenge.user_id is None:
        raise LinkInvalid("the link has been used or has expired; ask for a new one")
    return challenge, challenge.user_id
