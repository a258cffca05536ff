"""Writes docs/cli.md from the commands themselves; --check says whether it is up to date."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer
from typer.core import TyperArgument, TyperGroup
from typer.main import get_command

from smart_audit.cli.lazy import EXAMPLES
from smart_audit.cli.main import build

ROOT: Final = Path(__file__).parents[2]
REFERENCE: Final = ROOT / "docs" / "cli.md"

# Said once, at the top.
COMMON: Final = {"--help", "--profile", "--address", "--token-file"}

HEAD: Final = """\
# The command line

Written by `make reference` from the commands themselves; `smart-audit COMMAND --help` says the
same.

Data goes to stdout, progress and complaints to stderr. `-o` chooses the form of data: a table for
people, which fits the terminal and has whole lines when it is piped, or `json`, `jsonl` and `csv`
as the API has them. Text in CSV that a spreadsheet would take for a formula has a `'` before it;
on a terminal control characters are escaped. `NO_COLOR` is respected.

| Exit code | |
|---|---|
| 0 | it is done |
| 1 | it failed in another way: the service is away, a file cannot be written |
| 2 | wrong usage, or a setting that cannot be used |
| 3 | there is no such thing |
| 4 | not logged in, or not allowed |
| 5 | the service does not take it: a field is wrong, or it is there already |
| 6 | a verification failed |
| 130 | Ctrl-C |

## Where it calls, and as whom

What calls the service takes the options below. They go before the environment, and the
environment before the profile:

| | Option | Environment | Profile |
|---|---|---|---|
| the profile | `--profile` | `SMART_AUDIT_PROFILE` | `smart-audit config use` |
| the gateway | `--address` | `SMART_AUDIT_ADDRESS` | `address`, else `localhost:8000` |
| certificates to trust | | `SMART_AUDIT_CA_FILE` | `ca_file`, else the system's |
| who you are | `--token-file` | `SMART_AUDIT_TOKEN`, `SMART_AUDIT_API_KEY` | `smart-audit login` |

Profiles are in `config.toml` of the user's configuration folder (`smart-audit config path`, or
`SMART_AUDIT_CONFIG_DIR`), what they are logged in with in `credentials.toml` beside it, mode 0600.
Tokens renew themselves, and several processes may share a login. What a profile is logged in with
is sent to the gateway that it logged in at, and to no other.

`smart-audit --install-completion` lets the shell complete commands, options, profiles and formats.
"""


def main() -> None:
    """Write the reference, or compare it."""
    text = "\n".join([HEAD, *_sections()])
    if "--check" in sys.argv:
        if not REFERENCE.exists() or REFERENCE.read_text() != text:
            sys.exit("docs/cli.md is not what the commands say; run: make reference")
        return
    REFERENCE.write_text(text)


def _sections() -> Iterator[str]:
    root = get_command(build())
    context = typer.Context(root, info_name="smart-audit")  # type: ignore[arg-type]
    yield from _of_group(root, context, "smart-audit", 2)


def _of_group(group: Any, context: Any, path: str, level: int) -> Iterator[str]:
    for name in group.list_commands(context):
        if group.get_command(context, name).hidden:
            continue
        _, command, _ = group.resolve_command(context, [name])
        below = typer.Context(command, info_name=name, parent=context)
        yield from _of_command(command, below, f"{path} {name}", level)
        if isinstance(command, TyperGroup):
            yield from _of_group(command, below, f"{path} {name}", level + 1)


def _of_command(command: Any, context: Any, path: str, level: int) -> Iterator[str]:
    yield f"{'#' * level} `{path}`\n"
    yield f"{_text(command.help)}\n"
    arguments, options = [], []
    for parameter in command.get_params(context):
        if getattr(parameter, "hidden", False) or COMMON.intersection(parameter.opts):
            continue
        (arguments if isinstance(parameter, TyperArgument) else options).append(parameter)
    if arguments or options:
        yield "| | |\n|---|---|"
        for parameter in arguments:
            yield f"| `{_value(parameter)}` | {_cell(parameter.help)} |"
        for parameter in options:
            yield f"| {_names(parameter)} | {_cell(parameter.help)}{_default(parameter)} |"
        yield ""
    if command.epilog:
        lines = _text(command.epilog).removeprefix(f"{EXAMPLES}\n").split("\n")
        shown = "\n".join(line.removeprefix("  ") for line in lines)
        yield f"```console\n{shown}\n```\n"


def _names(option: Any) -> str:
    names = [f"`{name}`" for name in (*option.opts, *option.secondary_opts)]
    if not option.is_flag:
        names[-1] = f"{names[-1][:-1]} {_value(option)}`"
    return ", ".join(names).replace("|", "\\|")


def _value(parameter: Any) -> str:
    """What stands for the value: its name, or what there is to choose from."""
    if parameter.metavar:
        return str(parameter.metavar)
    choices = getattr(parameter.type_descriptor, "choices", None)
    if choices:
        return "|".join(str(getattr(one, "value", one)) for one in choices)
    return str(parameter.name).strip("_").upper()


def _default(option: Any) -> str:
    default = option.default
    if option.is_flag or default in (None, "", (), []) or callable(default):
        return ""
    return f" Default: `{getattr(default, 'value', default)}`."


def _cell(text: str | None) -> str:
    return _text(text).replace("\n", " ").replace("|", "\\|")


def _text(text: str | None) -> str:
    return (text or "").replace("\\[", "[")


if __name__ == "__main__":
    main()
