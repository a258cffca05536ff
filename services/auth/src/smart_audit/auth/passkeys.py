"""Passkeys: what a browser is asked, and whether what it answers is right.

Every passkey must verify its user (by a PIN, a finger, a face) each time, so that it is two factors
in one. Source: W3C Web Authentication, level 3.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smart_audit.auth.domain import User
from smart_audit.auth.errors import PasskeyInvalid
from smart_audit.auth.factors import Passkey
from smart_audit.core.deferred import deferred

if TYPE_CHECKING:
    import webauthn
else:
    webauthn = deferred("webauthn")

TIMEOUT_MS = 120_000

Credential = Mapping[str, Any]
"""What `PublicKeyCredential.toJSON()` gives."""


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """What an authenticator has made."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    backed_up: bool
    transports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Assertion:
    """What an authenticator has signed."""

    sign_count: int
    backed_up: bool


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Who passkeys are made for, and the only pages that may ask for them."""

    id: str
    """A domain; passkeys work there and below."""
    name: str
    origins: tuple[str, ...]

    def creation_options(
        self, user: User, passkeys: Iterable[Passkey], challenge: str
    ) -> dict[str, Any]:
        """What the browser needs to make a passkey. challenge: base64url."""
        structs = webauthn.helpers.structs
        options = webauthn.generate_registration_options(
            rp_id=self.id,
            rp_name=self.name,
            user_id=user.id.bytes,
            user_name=user.email,
            user_display_name=user.name,
            challenge=webauthn.helpers.base64url_to_bytes(challenge),
            timeout=TIMEOUT_MS,
            authenticator_selection=structs.AuthenticatorSelectionCriteria(
                resident_key=structs.ResidentKeyRequirement.REQUIRED,
                user_verification=structs.UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=list(map(_descriptor, passkeys)),
        )
        return webauthn.helpers.options_to_json_dict(options)

    def request_options(self, challenge: str, passkeys: Iterable[Passkey] = ()) -> dict[str, Any]:
        """What the browser needs to use one of these passkeys, or any. challenge: base64url."""
        options = webauthn.generate_authentication_options(
            rp_id=self.id,
            challenge=webauthn.helpers.base64url_to_bytes(challenge),
            timeout=TIMEOUT_MS,
            allow_credentials=list(map(_descriptor, passkeys)),
            user_verification=webauthn.helpers.structs.UserVerificationRequirement.REQUIRED,
        )
        return webauthn.helpers.options_to_json_dict(options)

    def new_passkey(self, credential: Credential, challenge: str) -> NewPasskey:
        """Check what a browser has made. Raises: PasskeyInvalid."""
        try:
            _refuse_frames(credential)
            made = webauthn.verify_registration_response(
                credential=dict(credential),
                expected_challenge=webauthn.helpers.base64url_to_bytes(challenge),
                expected_rp_id=self.id,
                expected_origin=list(self.origins),
                require_user_verification=True,
            )
            told = credential["response"].get("transports") or ()
            known = {one.value for one in webauthn.helpers.structs.AuthenticatorTransport}
            transports = tuple(one for one in told if one in known)
        except Exception as error:
            raise no_such_passkey() from error
        return NewPasskey(
            made.credential_id,
            made.credential_public_key,
            made.sign_count,
            made.credential_backed_up,
            transports,
        )

    def assertion(self, credential: Credential, challenge: str, passkey: Passkey) -> Assertion:
        """Check what a browser has signed; its counter is for the caller to judge.

        Raises: PasskeyInvalid.
        """
        try:
            _refuse_frames(credential)
            _refuse_others(credential, passkey)
            signed = webauthn.verify_authentication_response(
                credential=dict(credential),
                expected_challenge=webauthn.helpers.base64url_to_bytes(challenge),
                expected_rp_id=self.id,
                expected_origin=list(self.origins),
                credential_public_key=passkey.public_key,
                # The library would refuse a counter that has not grown before it has looked at
                # the signature: anybody could pretend that a passkey was cloned.
                credential_current_sign_count=0,
                require_user_verification=True,
            )
        except Exception as error:
            raise no_such_passkey() from error
        return Assertion(signed.new_sign_count, signed.credential_backed_up)


def challenge_of(credential: Credential) -> str:
    """The challenge that a credential says it answers, in base64url. Raises: PasskeyInvalid."""
    try:
        client_data = webauthn.helpers.base64url_to_bytes(credential["response"]["clientDataJSON"])
        return webauthn.helpers.bytes_to_base64url(
            webauthn.helpers.parse_client_data_json(client_data).challenge
        )
    except Exception as error:
        raise no_such_passkey() from error


def credential_id_of(credential: Credential) -> bytes:
    """Which passkey a credential says it is. Raises: PasskeyInvalid."""
    try:
        return webauthn.helpers.base64url_to_bytes(credential["id"])
    except Exception as error:
        raise no_such_passkey() from error


def _refuse_frames(credential: Credential) -> None:
    """Refuse what was asked for by a page of ours inside a page of somebody else."""
    client_data = webauthn.helpers.base64url_to_bytes(credential["response"]["clientDataJSON"])
    if webauthn.helpers.parse_client_data_json(client_data).cross_origin:
        raise ValueError("asked for in a frame of another origin")


def _refuse_others(credential: Credential, passkey: Passkey) -> None:
    handle = credential["response"].get("userHandle")
    if handle and webauthn.helpers.base64url_to_bytes(handle) != passkey.user_id.bytes:
        raise ValueError("made for another user")


def _descriptor(passkey: Passkey) -> "webauthn.helpers.structs.PublicKeyCredentialDescriptor":
    transports = [
        webauthn.helpers.structs.AuthenticatorTransport(one) for one in passkey.transports
    ]
    return webauthn.helpers.structs.PublicKeyCredentialDescriptor(
        passkey.credential_id, transports=transports
    )


def no_such_passkey() -> PasskeyInvalid:
    """The one refusal, whatever is wrong: unknown and invalid must look alike."""
    return PasskeyInvalid("the passkey is not valid here; try again, or use another one")
