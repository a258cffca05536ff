"""Which passwords may be chosen. No I/O, and no rule about kinds of characters.

Source: NIST SP 800-63B-4, section 3.1.1.2; OWASP ASVS 5.0, 6.2.1 to 6.2.12.

A password is normalised to NFKC before it is measured and hashed, as NIST says, so that it is the
same on every keyboard. Characters are code points. Nothing is cut off, folded or trimmed before it
is hashed; that is done only to compare it with words that an attacker tries first.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from smart_audit.auth.common_passwords import CommonPasswords, folded
from smart_audit.auth.errors import PasswordGuessable, PasswordTooCommon, PasswordTooShort

MIN_LENGTH = 8
MIN_LENGTH_ALONE = 15
"""Where the password is the only factor."""

PRODUCT = "Smart Audit"
# Shorter words are in too many passwords by chance.
MIN_WORD = 4
# A password needs so many letters and digits besides the words of its context.
MIN_REST = 6
MAX_TAIL = 5
TAIL = re.compile(rf"[\W\d_]{{1,{MAX_TAIL}}}$")
LEET = str.maketrans("013457@$!", "oieastasi")


@dataclass(frozen=True, slots=True)
class PasswordContext:
    """What an attacker knows of whoever chooses a password."""

    email: str
    first_name: str = ""
    last_name: str = ""
    organisations: tuple[str, ...] = ()
    """The names of the user's organisations."""
    password_only: bool = False
    """Whether one of them lets members log in by a password alone."""


def normalised(password: str) -> str:
    """What is hashed of a password."""
    return unicodedata.normalize("NFKC", password)


def check(password: str, context: PasswordContext, common: CommonPasswords, *, field: str) -> None:
    """Refuse a password that is too short or too easy to guess; `field` names it in the request.

    Raises: PasswordTooShort, PasswordTooCommon, PasswordGuessable.
    """
    password = normalised(password)
    shortest = MIN_LENGTH_ALONE if context.password_only else MIN_LENGTH
    if len(password) < shortest:
        raise PasswordTooShort(field, f"must have at least {shortest} characters")
    unit = _unit(folded(password))
    if len(unit) < shortest or any(common.hold(guess) for guess in _guesses(unit)):
        raise PasswordTooCommon(field, "is one of the passwords that are tried first")
    if _is_made_of(unit, _words(context)):
        raise PasswordGuessable(field, "must not be made of your name, address or organisation")


def _unit(password: str) -> str:
    """What a password repeats from its start to its end, the last time perhaps in part."""
    for length in range(1, len(password) // 2 + 1):
        unit = password[:length]
        if (unit * (len(password) // length + 1)).startswith(password):
            return unit
    return password


def _guesses(password: str) -> Iterator[str]:
    """The words of a list that lead an attacker to this password."""
    for guess in (password, password.translate(LEET)):
        yield guess
        if (tail := TAIL.search(guess)) and len(guess) - len(tail[0]) >= MIN_LENGTH:
            yield guess[: tail.start()]


def _words(context: PasswordContext) -> set[str]:
    """The words of a context, folded, each also run together as in `smartaudit`."""
    address = context.email.rpartition("@")
    names = (context.first_name, context.last_name, context.first_name + context.last_name)
    texts = [PRODUCT, *names, *context.organisations, address[0], *address[2].split(".")[:-1]]
    words = set()
    for text in texts:
        parts = re.split(r"[\W_]+", folded(text))
        words |= {part.translate(LEET) for part in (*parts, "".join(parts))}
    return {word for word in words if len(word) >= MIN_WORD}


def _is_made_of(password: str, words: set[str]) -> bool:
    """Whether little is left of a password without these words."""
    rest = password.translate(LEET)
    for word in sorted(words, key=len, reverse=True):
        rest = rest.replace(word, "")
    left = re.sub(r"[\W_]", "", rest)
    return len(left) < MIN_REST and rest != password.translate(LEET)
