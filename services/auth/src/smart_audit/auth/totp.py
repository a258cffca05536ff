"""One-time codes of an app: six digits, a new one each 30 seconds (RFC 6238)."""

from base64 import b32encode
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING

from pyotp import TOTP
from pyotp.exceptions import OTPVerificationError

from smart_audit.core.deferred import deferred
from smart_audit.core.ids import random_bytes

if TYPE_CHECKING:
    import segno
else:
    segno = deferred("segno")

SECRET_BYTES = 20
# Steps before and after the present one whose codes are taken: clocks differ, and people type.
WINDOW = 1
SCALE = 4


def new_totp_secret(secret: str) -> str:
    """A secret for an app, 160 bits in base32. secret: 256 random bits in base64url."""
    return b32encode(random_bytes(secret)[:SECRET_BYTES]).decode()


def otpauth_uri(totp_secret: str, account: str, issuer: str) -> str:
    """The link by which apps take a secret over.

    Source: the Key URI format of Google Authenticator.
    """
    return TOTP(totp_secret).provisioning_uri(name=account, issuer_name=issuer)


def qr_svg(text: str) -> str:
    """A text as a QR code, an SVG picture on white."""
    picture = BytesIO()
    segno.make_qr(text, error="m").save(
        picture, kind="svg", scale=SCALE, light="#fff", xmldecl=False, nl=False
    )
    return picture.getvalue().decode()


def matching_step(totp_secret: str, code: str, at: datetime) -> int | None:
    """The step whose code this is, counted in 30 s since 1970; None for a wrong code.

    That a step works once is for the caller to see to.
    """
    try:
        return TOTP(totp_secret).verify_and_get_timecode(code, for_time=at, valid_window=WINDOW)
    except OTPVerificationError:
        return None
