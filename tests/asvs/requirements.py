"""Which requirements of OWASP ASVS 5.0 the product is held to, and what tells how each is met.

A test that proves a requirement carries `@proves(id, how)`; what no test proves stands in `OPEN`
with the reason. The table in docs/security.md is made of both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Requirement:
    """A requirement: the level from which on it holds, and what it asks for in short."""

    level: int
    asks: str


@dataclass(frozen=True, slots=True)
class Proof:
    """How a requirement is met, and the test that shows it."""

    how: str
    file: str
    test: str


# Source: OWASP/ASVS, 5.0/en; the words are ours.
REQUIREMENTS = {
    "6.2.1": Requirement(1, "passwords have at least 8 characters"),
    "6.2.2": Requirement(1, "users can change their password"),
    "6.2.3": Requirement(1, "a change needs the current password"),
    "6.2.4": Requirement(1, "the most used passwords are refused"),
    "6.2.5": Requirement(1, "no rules of composition"),
    "6.2.6": Requirement(1, "password fields are masked"),
    "6.2.7": Requirement(1, "pasting and password managers work"),
    "6.2.8": Requirement(1, "passwords are checked exactly as given"),
    "6.2.9": Requirement(2, "64 characters and more are allowed"),
    "6.2.10": Requirement(2, "passwords do not expire by the calendar"),
    "6.2.11": Requirement(2, "words of the context are refused"),
    "6.2.12": Requirement(2, "breached passwords are refused"),
    "6.3.1": Requirement(1, "guessing and stuffing are slowed down as documented"),
    "6.3.2": Requirement(1, "no default accounts"),
    "6.3.3": Requirement(2, "more than one factor"),
    "6.3.4": Requirement(2, "all ways in are documented and equally strong"),
    "6.3.5": Requirement(3, "users hear of suspicious logins"),
    "6.3.6": Requirement(3, "e-mail is no factor"),
    "6.3.7": Requirement(3, "users hear of changes to how they log in"),
    "6.3.8": Requirement(3, "nobody can find out who has an account"),
    "6.4.1": Requirement(1, "initial secrets are random, short-lived and not kept"),
    "6.4.2": Requirement(1, "no hints and no secret questions"),
    "6.4.3": Requirement(2, "a reset does not pass by the second factor"),
    "6.4.4": Requirement(2, "a lost factor is replaced as strictly as it was enrolled"),
    "6.4.5": Requirement(3, "reminders before a way to log in expires"),
    "6.4.6": Requirement(3, "administrators start a reset and choose no password"),
    "6.5.1": Requirement(2, "codes work once"),
    "6.5.2": Requirement(2, "short stored codes are hashed like passwords"),
    "6.5.3": Requirement(2, "codes and seeds come from a secure generator"),
    "6.5.4": Requirement(2, "codes have at least 20 bits"),
    "6.5.5": Requirement(2, "mailed codes live 10 minutes at most, time-based ones 30 seconds"),
    "6.6.2": Requirement(2, "a code belongs to the request it was made for"),
    "6.6.3": Requirement(2, "guessing codes is limited"),
    "6.7.2": Requirement(3, "challenges have at least 64 bits and are unique"),
    "7.2.3": Requirement(1, "reference tokens have at least 128 random bits"),
    "7.2.4": Requirement(1, "each authentication makes new tokens and ends the old"),
    "7.3.1": Requirement(2, "idle sessions end"),
    "7.3.2": Requirement(2, "sessions have a greatest age"),
    "7.4.1": Requirement(1, "an ended session is refused everywhere"),
    "7.4.2": Requirement(1, "disabling or deleting a user ends all sessions"),
    "7.4.3": Requirement(2, "a change of factors can end the other sessions"),
    "7.4.4": Requirement(2, "logout is in easy reach"),
    "7.4.5": Requirement(2, "administrators end the sessions of one user or of all"),
    "7.5.1": Requirement(2, "sensitive changes need a fresh authentication"),
    "7.5.2": Requirement(2, "users see and end their sessions"),
    "9.1.2": Requirement(1, "only algorithms of an allowlist"),
    "9.1.3": Requirement(1, "keys come from trusted places alone"),
    "9.2.1": Requirement(1, "tokens hold only within their time"),
    "9.2.2": Requirement(2, "only tokens of the right type"),
    "9.2.3": Requirement(2, "only tokens for this audience"),
    "9.2.4": Requirement(2, "one key, one audience, or the audience is named"),
    "10.4.4": Requirement(1, "no implicit and no password grant"),
    "10.4.5": Requirement(1, "a refresh token used twice ends its session"),
    "10.4.6": Requirement(2, "authorization codes need PKCE"),
    "10.4.7": Requirement(2, "unauthenticated client registration is contained"),
    "10.4.8": Requirement(2, "refresh tokens have a greatest age"),
    "11.4.2": Requirement(2, "passwords are hashed slowly, by current guidance"),
    "16.2.5": Requirement(2, "nothing secret in logs"),
    "16.3.1": Requirement(2, "every login attempt is recorded, with its factors"),
    "16.3.2": Requirement(2, "refused authorisations are recorded"),
    "16.5.3": Requirement(2, "errors fail closed"),
}

PROOFS: dict[str, Proof] = {}


def proves(requirement: str, how: str) -> Callable[[F], F]:
    """Mark a test as the one that proves a requirement; `how` is a sentence for the table."""
    if requirement not in REQUIREMENTS:
        raise KeyError(f"{requirement} is none of the requirements")

    def marked(test: F) -> F:
        known = PROOFS.get(requirement)
        file = test.__module__.rpartition(".")[2] + ".py"
        proof = Proof(how, file, test.__name__)
        if known not in (None, proof):
            raise ValueError(f"{requirement} is proved by {known} already")
        PROOFS[requirement] = proof
        return test

    return marked
