"""What is not met, or has nothing to apply to, each with its reason."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Open:
    """What a requirement asks for and does not get, and why."""

    verdict: Literal["not met", "met in part", "does not apply"]
    reason: str


OPEN = {
    "6.3.3": Open(
        "met in part",
        "a second factor is each user's choice until the organisation's `sign_in_policy` is"
        " `second_factor_required`; no organisation has that by default",
    ),
    "6.3.5": Open(
        "met in part",
        "nobody is told of wrong passwords alone, or of a login after a long time; each is in the"
        " audit log",
    ),
    "6.3.6": Open(
        "met in part",
        "an organisation can turn login codes by mail on; they stand for the password, never for a"
        " second factor",
    ),
    "6.4.5": Open(
        "not met",
        "only API keys expire, and nobody is reminded of it; `ListApiKeys` tells when",
    ),
    "6.5.5": Open(
        "met in part",
        "a one-time code of an app is taken one step (30 s) early or late, for clocks that differ;"
        " links to reset a password, which open no session, live 30 minutes",
    ),
    "7.4.4": Open(
        "does not apply",
        "the one page of the product opens without a login; `Logout` is one call with any token",
    ),
    "7.5.2": Open(
        "met in part",
        "ending sessions asks for no fresh authentication: who has lost a device must be quick",
    ),
}
