"""How the product names itself in the events that it writes."""

from functools import cache
from importlib.metadata import version
from typing import Final

NAME: Final = "Smart Audit"


@cache
def product_version() -> str:
    """The version of the service that writes."""
    return version("smart-audit-audit")
