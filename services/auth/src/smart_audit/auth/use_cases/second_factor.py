"""Check a second factor. It works once: a code, a recovery code, a signature of a passkey."""

from smart_audit.auth.domain import MULTIPLE_FACTORS, Acting, User, UserId
from smart_audit.auth.errors import (
    PasskeyCloned,
    PasskeyInvalid,
    SecondFactorInvalid,
    TooManyAttempts,
)
from smart_audit.auth.factors import (
    ONE_TIME_CODE,
    Factor,
    Passkey,
    PasskeyAnswer,
    Proof,
    Proven,
    RecoveryCode,
    TotpCode,
    TotpSecret,
)
from smart_audit.auth.passkeys import credential_id_of, no_such_passkey
from smart_audit.auth.recovery_codes import recovery_code_hash
from smart_audit.auth.repository import Repositories
from smart_audit.auth.totp import matching_step
from smart_audit.auth.use_cases.common import Deps, Work
from smart_audit.auth.use_cases.notices import notify
from smart_audit.auth.use_cases.throttling import check_limits
from smart_audit.core.errors import DomainError

CODE = "code"
BY_CODE = (ONE_TIME_CODE, MULTIPLE_FACTORS)


async def count_guess(
    proof: Proof | None, user_id: UserId, acting: Acting, work: Work, deps: Deps
) -> None:
    """Count a code of an app before it is looked at. Nobody guesses what else there is.

    Raises: TooManyAttempts, Unavailable.
    """
    if not isinstance(proof, TotpCode):
        return
    try:
        await check_limits(CODE, acting, work, deps, account=str(user_id))
    except TooManyAttempts as refusal:
        if refusal.is_news:
            await _warn(user_id, acting, work, deps)
        raise


async def _warn(user_id: UserId, acting: Acting, work: Work, deps: Deps) -> None:
    """Whoever has come to guess codes knows the password."""
    async with work.everywhere() as repositories:
        user = await repositories.users.get(user_id)
        if user is not None:
            await notify(user, "second_factor.failing", acting, repositories, deps)


async def forget_guesses(proof: Proof | None, user_id: UserId, acting: Acting, deps: Deps) -> None:
    """Forget the wrong codes before a right one. Raises: Unavailable."""
    if isinstance(proof, TotpCode):
        address = acting.client.address
        await deps.throttle.succeeded(CODE, account=str(user_id), address=address)


async def prove(
    proof: Proof,
    user: User,
    challenge: str,
    acting: Acting,
    repositories: Repositories,
    deps: Deps,
) -> Proven | DomainError:
    """Check a proof of a user's factor. A refusal is returned, for what it has counted to stay.

    challenge: what a passkey has to have signed, in base64url.
    """
    match proof:
        case TotpCode(code):
            return await _totp(code, user, repositories, deps)
        case RecoveryCode(code):
            return await _recovery_code(code, user, acting, repositories, deps)
        case PasskeyAnswer():
            passkey = await find_passkey(proof, repositories)
            mine = passkey if passkey and passkey.user_id == user.id else None
            return await use_passkey(mine, proof, user, challenge, acting, repositories, deps)


async def find_passkey(answer: PasskeyAnswer, repositories: Repositories) -> Passkey | None:
    """The passkey that an answer says it is of, locked."""
    try:
        return await repositories.passkeys.find(credential_id_of(answer.credential))
    except PasskeyInvalid:
        return None


async def use_passkey(
    passkey: Passkey | None,
    answer: PasskeyAnswer,
    user: User | None,
    challenge: str,
    acting: Acting,
    repositories: Repositories,
    deps: Deps,
) -> Proven | DomainError:
    """Check that a passkey of the user has signed the challenge. A refusal is returned."""
    if passkey is None or user is None:
        return no_such_passkey()
    try:
        signed = deps.relying_party.assertion(answer.credential, challenge, passkey)
    except PasskeyInvalid as refusal:
        return refusal
    if passkey.is_cloned(signed.sign_count):
        await notify(user, "passkey.cloned", acting, repositories, deps)
        return PasskeyCloned(
            "the passkey seems to have been copied: remove it and make a new one",
            passkey_id=str(passkey.id),
        )
    used = passkey.used(signed.sign_count, deps.now(), backed_up=signed.backed_up)
    await repositories.passkeys.used(used)
    return Proven(Factor.PASSKEY, used.methods)


async def accept_code(
    code: str, secret: TotpSecret, repositories: Repositories, deps: Deps
) -> bool:
    """Whether a code is right and new; it is not any more, afterwards."""
    plain = deps.sealer.open(secret.sealed_secret, totp_purpose(secret.user_id)).decode()
    step = matching_step(plain, code, deps.now())
    return step is not None and await repositories.factors.use_step(secret.user_id, step)


def totp_purpose(user_id: UserId) -> str:
    """What the secret of an app is sealed for."""
    return f"TOTP secret of {user_id}"


async def _totp(
    code: str, user: User, repositories: Repositories, deps: Deps
) -> Proven | DomainError:
    secret = (await repositories.factors.of(user.id)).confirmed_totp
    if secret is None or not await accept_code(code, secret, repositories, deps):
        return _wrong()
    return Proven(Factor.TOTP, BY_CODE)


async def _recovery_code(
    code: str, user: User, acting: Acting, repositories: Repositories, deps: Deps
) -> Proven | DomainError:
    if not await repositories.factors.use_code(user.id, recovery_code_hash(code), deps.now()):
        return _wrong()
    await notify(user, "recovery_code.used", acting, repositories, deps)
    return Proven(Factor.RECOVERY_CODE, BY_CODE)


def _wrong() -> SecondFactorInvalid:
    return SecondFactorInvalid("the code is wrong, or was used before; try the next one")
