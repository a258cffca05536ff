"""Passwords and codes: asked for at the terminal, or read from stdin, and never an option.

Arguments are seen by every user of the machine, and remembered by the shell.
"""

import getpass
import re
import sys
from typing import Any, Final

from smart_audit.cli.failures import ExitCode, Failure

_TOTP_CODE: Final = re.compile("[0-9]{6}")


def is_terminal() -> bool:
    """Whether somebody is there who can be asked."""
    return sys.stdin.isatty()


def ask(name: str) -> str:
    """A secret by its name: "password", "code", "API key".

    Raises: Failure when stdin is no terminal and has no line for it.
    """
    if is_terminal():
        return getpass.getpass(f"{name[0].upper()}{name[1:]}: ", sys.stderr)
    # One line and no more: what `echo` or a password manager pipes in ends with a newline.
    secret = sys.stdin.readline().rstrip("\r\n")
    if not secret:
        raise Failure(f"no {name} on stdin", ExitCode.USAGE)
    return secret


def factor(code: str) -> dict[str, Any]:
    """The field of a request for a code: an app's has six digits, others are for recovery."""
    return {"totp_code": code} if _TOTP_CODE.fullmatch(code) else {"recovery_code": code}


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something that cannot be taken back.

    Raises: Failure when the answer is no, or nobody can be asked.
    """
    if yes:
        return
    if not is_terminal():
        raise Failure(f"{question} Say --yes: nobody can be asked here", ExitCode.USAGE)
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Failure("nothing was done")


def ask_openly(name: str) -> str:
    """Something that is no secret. Raises: Failure when nobody can be asked."""
    if not is_terminal():
        raise Failure(f"--{name} is missing", ExitCode.USAGE)
    sys.stderr.write(f"{name.capitalize()}: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip()
