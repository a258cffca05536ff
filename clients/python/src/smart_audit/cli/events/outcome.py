"""How an attempt ended, as an option has it."""

from enum import StrEnum


class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    DENIED = "denied"
