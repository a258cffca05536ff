"""What a user agent says of the device."""

from functools import lru_cache
from typing import TYPE_CHECKING

from smart_audit.core.deferred import deferred

if TYPE_CHECKING:
    import ua_parser
else:
    ua_parser = deferred("ua_parser")


@lru_cache(maxsize=4096)
def device_of(user_agent: str) -> str:
    """A short name of a device, such as "Firefox on Linux".

    It is the user agent's own first word where nobody knows the program.
    """
    parsed = ua_parser.parse(user_agent)
    first_word = user_agent.partition("/")[0].strip()
    program = parsed.user_agent.family if parsed.user_agent else first_word
    system = parsed.os.family if parsed.os else ""
    return f"{program} on {system}" if program and system else program or "Unknown device"
