"""What a shell completes beside commands and options."""

from collections.abc import Iterator


def profiles(incomplete: str) -> Iterator[str]:
    """The profiles of this user."""
    from smart_audit.client.profiles import Profiles  # noqa: PLC0415  (only a shell asks)

    try:
        names = Profiles.of_user().names()
    except (OSError, ValueError):
        return
    yield from (name for name in names if name.startswith(incomplete))


def settings(incomplete: str) -> Iterator[str]:
    """What a profile may say."""
    from smart_audit.client.profiles import KEYS  # noqa: PLC0415

    yield from (key for key in KEYS if key.startswith(incomplete))
