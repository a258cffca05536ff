"""`smart-audit config`: the profiles of this user."""

from typing import Annotated, Final

import typer

from smart_audit.cli.asking import confirm
from smart_audit.cli.completion import profiles, settings
from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.cli.options import YesOption
from smart_audit.cli.render import Column, Form, OutputOption, show
from smart_audit.cli.text import tell
from smart_audit.client.profiles import KEYS, Profiles

_PROFILES: Final = [
    Column("name", "profile"),
    Column("default"),
    Column("address"),
    Column("ca_file", spare=True),
    Column("logged_in", "logged in"),
]

KeyArgument = Annotated[
    str, typer.Argument(help=f"One of: {', '.join(KEYS)}.", autocompletion=settings)
]
ProfileOption = Annotated[
    str,
    typer.Option(
        "--profile", metavar="NAME", autocompletion=profiles, help="Else the default profile."
    ),
]
NameArgument = Annotated[
    str, typer.Argument(metavar="PROFILE", help="The profile.", autocompletion=profiles)
]


def get(key: KeyArgument, *, profile: ProfileOption = "") -> None:
    """Print a setting of a profile.

    Examples:
    smart-audit config get address --profile work
    """
    _require(key)
    typer.echo(getattr(Profiles.of_user().read(profile), key))


def set_(
    key: KeyArgument,
    value: Annotated[str, typer.Argument(help="The value; an empty one takes it back.")],
    *,
    profile: ProfileOption = "",
) -> None:
    """Set a setting of a profile, which is made if it is not there.

    Examples:
    smart-audit config set address https://audit.example.com --profile work
    smart-audit config set ca_file /etc/ssl/our-ca.pem --profile work
    """
    _require(key)
    known = Profiles.of_user()
    known.set(profile or known.default, key, value)


def list_(*, output: OutputOption = Form.TABLE) -> None:
    """List the profiles, and whether each is logged in.

    Examples:
    smart-audit config list
    smart-audit config list -o json
    """
    known = Profiles.of_user()
    default = known.default
    names = sorted({default, *known.names()})
    show((_row(known, name, default) for name in names), _PROFILES, output)


def use(name: NameArgument) -> None:
    """Make a profile the default one.

    Examples:
    smart-audit config use work
    """
    Profiles.of_user().choose(name)
    tell(f"the default profile is {name}")


def remove(name: NameArgument, *, yes: YesOption = False) -> None:
    """Remove a profile, and forget what it is logged in with; the session itself goes on.

    Examples:
    smart-audit config remove work --yes
    """
    known = Profiles.of_user()
    if name not in known.names():
        raise Failure(f"there is no profile {name}", ExitCode.NOT_FOUND)
    confirm(f"Remove the profile {name}?", yes=yes)
    known.remove(name)


def path() -> None:
    """Print where the profiles are.

    Examples:
    $EDITOR "$(smart-audit config path)"
    """
    typer.echo(Profiles.of_user().config_file)


def _row(known: Profiles, name: str, default: str) -> dict[str, object]:
    stated, held = known.read(name), known.credentials(name)
    return {
        "name": name,
        "default": name == default,
        "address": stated.address,
        "ca_file": stated.ca_file,
        "logged_in": bool(held.access_token or held.api_key),
    }


def _require(key: str) -> None:
    if key not in KEYS:
        raise Failure(f"there is no setting {key}; there are {', '.join(KEYS)}", ExitCode.USAGE)
