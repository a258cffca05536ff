"""What is not met, or has nothing to apply to, each with its reason."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Open:
    """Why no test proves a requirement."""

    verdict: Literal["not met", "does not apply", "met in part"]
    reason: str


OPEN = {
    "6.2.6": Open(
        "does not apply",
        "the product has no page with a password field; it is up to the front end that calls it",
    ),
    "6.2.7": Open(
        "does not apply",
        "as 6.2.6; the API takes any text of up to 256 characters",
    ),
    "7.4.4": Open("does not apply", "no pages; `Logout` is one call with any access token"),
}
