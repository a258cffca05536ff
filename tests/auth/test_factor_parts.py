"""Codes, pictures and passkeys by themselves: what their standards say of them."""

import json
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from webauthn.helpers import bytes_to_base64url

from smart_audit.auth.domain import User, UserId
from smart_audit.auth.errors import PasskeyInvalid
from smart_audit.auth.factors import Factor, Factors, Passkey, PasskeyId, TotpSecret, methods
from smart_audit.auth.passkeys import RelyingParty, challenge_of, credential_id_of
from smart_audit.auth.recovery_codes import new_recovery_code, recovery_code_hash
from smart_audit.auth.settings import AuthSettings
from smart_audit.auth.totp import matching_step, new_totp_secret, otpauth_uri, qr_svg
from smart_audit.core.ids import new_id, new_secret
from tests.support.authenticator import ORIGIN, Authenticator

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ADA = User(UserId(UUID(int=7)), "ada@example.com", "Ada", "Lovelace", None, NOW)
PARTY = RelyingParty("localhost", "Smart Audit", ("http://localhost:3000", ORIGIN))
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (1234567890, "005924"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_the_standard(second, code):
    # RFC 6238, appendix B; six of its eight digits.
    at = datetime.fromtimestamp(second, UTC)
    assert matching_step(RFC_SECRET, code, at) == second // 30
    assert matching_step(RFC_SECRET, code, at + timedelta(seconds=30)) == second // 30
    assert matching_step(RFC_SECRET, code, at - timedelta(seconds=30)) == second // 30
    assert matching_step(RFC_SECRET, code, at + timedelta(seconds=60)) is None


def test_a_link_for_apps_names_the_account_and_its_picture_is_svg():
    secret = new_totp_secret(new_secret())
    assert len(secret) == 32
    link = otpauth_uri(secret, "ada@example.com", "Smart Audit")
    parts = urlsplit(link)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert parts.path == "/Smart%20Audit:ada%40example.com"
    assert parse_qs(parts.query) == {"secret": [secret], "issuer": ["Smart Audit"]}
    picture = ET.fromstring(qr_svg(link))
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"


def test_a_recovery_code_has_120_bits_and_is_read_as_people_type_it():
    code = new_recovery_code(new_secret())
    groups = code.split("-")
    assert [len(group) for group in groups] == [4] * 6
    assert len(code.replace("-", "")) * 5 >= 112
    typed = f" {code.upper().replace('-', ' ')}\n"
    assert recovery_code_hash(typed) == recovery_code_hash(code)
    assert recovery_code_hash(code[:-1]) != recovery_code_hash(code)


def test_recovery_codes_stand_in_for_a_factor_but_are_none():
    alone = Factors(TotpSecret(ADA.id, b"", NOW), (), 10)
    assert (alone.count, alone.offered) == (0, ())
    confirmed = replace(alone, totp=TotpSecret(ADA.id, b"", NOW, NOW))
    assert confirmed.offered == (Factor.TOTP, Factor.RECOVERY_CODE)


@pytest.mark.parametrize(
    ("rp_id", "origins", "fit"),
    [
        ("example.com", "https://example.com,https://app.example.com:8443", True),
        ("localhost", "http://localhost:3000", True),
        ("example.com", "http://example.com", False),
        ("example.com", "https://badexample.com", False),
        ("example.com", "https://example.com/", False),
        ("example.com", "https://example.com/login", False),
        ("example.com", "https://example.org", False),
        ("example.com", "", False),
    ],
)
def test_pages_that_no_browser_would_let_use_passkeys_stop_the_start(
    monkeypatch, rp_id, origins, fit
):
    monkeypatch.setenv("AUTH_WEBAUTHN_RP_ID", rp_id)
    monkeypatch.setenv("AUTH_WEBAUTHN_ORIGINS", origins)
    expected = nullcontext() if fit else pytest.raises(ValidationError, match=r"https://host\[")
    with expected:
        AuthSettings(database_url="postgresql:///x")


def test_methods_are_named_once_in_the_order_of_their_use():
    assert methods("pwd", ("hwk", "user", "mfa"), "mfa") == ("pwd", "hwk", "user", "mfa")


@pytest.mark.parametrize(
    ("before", "now", "cloned"),
    [(0, 0, False), (0, 1, False), (5, 6, False), (5, 5, True), (5, 4, True), (5, 0, True)],
)
def test_a_counter_that_does_not_grow_shows_a_clone(before, now, cloned):
    assert registered(Authenticator(), sign_count=before).is_cloned(now) is cloned


def registered(authenticator, **changes):
    challenge = new_secret()
    options = PARTY.creation_options(ADA, (), challenge)
    made = PARTY.new_passkey(authenticator.create(options), challenge)
    values = {
        "id": PasskeyId(new_id()),
        "credential_id": made.credential_id,
        "user_id": ADA.id,
        "name": "key",
        "public_key": made.public_key,
        "sign_count": made.sign_count,
        "transports": made.transports,
        "backed_up": made.backed_up,
        "created_at": NOW,
    }
    return Passkey(**(values | changes))


def test_a_passkey_is_made_for_its_user_here_and_signs():
    authenticator, challenge = Authenticator(), new_secret()
    passkey = registered(authenticator)
    assert passkey.transports == ("internal",)
    options = PARTY.request_options(challenge, [passkey])
    assert options["challenge"] == challenge
    assert options["userVerification"] == "required"
    credential = authenticator.get(options)
    assert challenge_of(credential) == challenge
    assert credential_id_of(credential) == passkey.credential_id
    assert PARTY.assertion(credential, challenge, passkey).sign_count == 1


def test_a_passkey_is_asked_for_with_its_user_kept_and_known_ones_excluded():
    passkey = registered(Authenticator())
    options = PARTY.creation_options(ADA, [passkey], new_secret())
    assert options["rp"] == {"id": "localhost", "name": "Smart Audit"}
    assert options["user"]["name"] == "ada@example.com"
    assert options["excludeCredentials"][0]["id"] == bytes_to_base64url(passkey.credential_id)
    selection = options["authenticatorSelection"]
    assert (selection["residentKey"], selection["userVerification"]) == ("required", "required")


WRONGS = {
    "another origin": {"origin": "http://localhost:8001"},
    "an origin below": {"origin": "http://app.localhost:8000"},
    "the user not verified": {"verifies_user": False},
    "in a frame": {"in_a_frame": True},
    "another site's": {"rp_id": "example.com"},
    "another user's": {"user_handle": bytes_to_base64url(UUID(int=8).bytes)},
}


@pytest.mark.parametrize("wrong", WRONGS.values(), ids=WRONGS)
def test_an_assertion_that_is_wrong_is_refused(wrong):
    authenticator, challenge = Authenticator(), new_secret()
    passkey = registered(authenticator)
    for name, value in wrong.items():
        setattr(authenticator, name, value)
    credential = authenticator.get(PARTY.request_options(challenge))
    with pytest.raises(PasskeyInvalid):
        PARTY.assertion(credential, challenge, passkey)


@pytest.mark.parametrize(
    "wrong", [{"origin": "http://evil.test"}, {"verifies_user": False}, {"in_a_frame": True}]
)
def test_a_new_passkey_that_is_wrong_is_refused(wrong):
    with pytest.raises(PasskeyInvalid):
        registered(Authenticator(**wrong))


def test_an_assertion_answers_its_own_challenge_by_its_own_key():
    authenticator, challenge = Authenticator(), new_secret()
    passkey = registered(authenticator)
    credential = authenticator.get(PARTY.request_options(challenge))
    for other in (
        (credential, new_secret(), passkey),
        (credential, challenge, registered(Authenticator())),
        (Authenticator(rp_id="localhost").get({"challenge": challenge}), challenge, passkey),
    ):
        with pytest.raises(PasskeyInvalid):
            PARTY.assertion(*other)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(
    where=st.sampled_from(["id", "rawId", "response", "clientDataJSON", "authenticatorData",
                           "signature", "attestationObject", "transports", "type"]),
    what=JSON,
)  # fmt: skip
def test_whatever_a_stranger_sends_is_invalid_and_no_failure(where, what):
    challenge = new_secret()
    passkey = registered(AUTHENTICATOR)
    for credential in (
        AUTHENTICATOR.get(PARTY.request_options(challenge)),
        AUTHENTICATOR.create(PARTY.creation_options(ADA, (), challenge)),
    ):
        inner = where in credential["response"]
        target = credential["response"] if inner else credential
        target[where] = what
        for check in (
            lambda: PARTY.assertion(credential, challenge, passkey),  # noqa: B023
            lambda: PARTY.new_passkey(credential, challenge),  # noqa: B023
            lambda: challenge_of(credential),  # noqa: B023
            lambda: credential_id_of(credential),  # noqa: B023
        ):
            try:
                check()
            except PasskeyInvalid as error:
                assert json.dumps(error.message)  # noqa: PT017


AUTHENTICATOR = Authenticator()
