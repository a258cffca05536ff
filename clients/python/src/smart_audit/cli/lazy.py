"""Commands that are imported when they are run, and not before.

To show what there is takes names and summaries alone. A command's own module, and gRPC with it, is
imported when the command is run, when its help is shown, or when its options are completed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

if TYPE_CHECKING:
    AnyCommand = TyperCommand | TyperGroup

EXAMPLES: Final = "Examples:"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A command. place: module:function. summary: the first sentence of the function's docstring.

    hidden: an old spelling, which is not shown.
    """

    place: str
    summary: str
    hidden: bool = False

    @property
    def module(self) -> str:
        """Where the command is."""
        return self.place.partition(":")[0]

    def stub(self, name: str, panel: str | None = None) -> AnyCommand:
        """What is shown of it in a list."""
        return TyperCommand(name=name, help=self.summary, hidden=self.hidden, rich_help_panel=panel)

    def load(self, name: str) -> AnyCommand:
        """The command itself."""
        function: Callable[..., None] = getattr(
            import_module(self.module), self.place.partition(":")[2]
        )
        text, examples = _split(function.__doc__ or "")
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command(name, help=text, epilog=examples, hidden=self.hidden)(function)
        loaded: AnyCommand = get_command(app)  # type: ignore[assignment]
        return loaded


@dataclass(frozen=True, slots=True)
class Group:
    """Commands under one name.

    plugins: the entry points whose packages add commands to it. examples: a line each.
    """

    summary: str
    commands: Mapping[str, Leaf | Group]
    plugins: str = ""
    examples: str = ""
    hidden: bool = False

    def stub(self, name: str, panel: str | None = None) -> AnyCommand:
        """What is shown of it in a list."""
        return TyperCommand(name=name, help=self.summary, hidden=self.hidden, rich_help_panel=panel)

    def load(self, name: str) -> AnyCommand:
        """The group itself; its commands are not loaded."""
        return grouped(self)(
            name=name,
            help=_plain(self.summary),
            epilog=_epilog(self.examples),
            hidden=self.hidden,
            no_args_is_help=True,
        )

    def leaves(self) -> Iterator[Leaf]:
        """All commands below."""
        for one in self.commands.values():
            if isinstance(one, Group):
                yield from one.leaves()
            else:
                yield one


class LazyGroup(TyperGroup):
    """A group of what `group` says, and of what plug-ins add."""

    group: Group
    panels: Mapping[str, str]
    """The panel of the help that a command is shown in, by its name."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self._complete = not self.group.plugins
        # What a list shows of them, and what typer suggests when a name is mistyped.
        for name, one in self.group.commands.items():
            self.add_command(one.stub(name, self.panels.get(name)))

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the order that they are written down in; those of plug-ins at the end."""
        self._add_plugins()
        return super().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """What a list shows of a command."""
        if cmd_name not in self.commands:
            self._add_plugins()
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command itself: it is about to be run, or asked for its help or its options."""
        found = self.group.commands.get(args[0])
        if found is not None:
            return args[0], found.load(args[0]), args[1:]
        return super().resolve_command(ctx, args)

    def _add_plugins(self) -> None:
        """Plug-ins are looked for when a list is shown, or when nothing else has the name."""
        if not self._complete:
            self._complete = True
            for name, command in _plugged(self.group.plugins).items():
                self.commands.setdefault(name, command)


def grouped(group: Group, panels: Mapping[str, str] | None = None) -> type[LazyGroup]:
    """The class of a group, as typer takes it."""
    return type("Grouped", (LazyGroup,), {"group": group, "panels": panels or {}})


def _split(docstring: str) -> tuple[str, str | None]:
    """What a docstring says, and the examples at its end, each as the help shows it."""
    text, _, examples = inspect.cleandoc(docstring).partition(f"\n\n{EXAMPLES}\n")
    paragraphs = (" ".join(one.split("\n")) for one in text.split("\n\n"))
    return _plain("\n\n".join(paragraphs)), _epilog(examples)


def _plugged(entry_points: str) -> Mapping[str, AnyCommand]:
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    # Without a callback typer would take the only command for the group itself.
    app.callback()(lambda: None)
    from smart_audit.cli.plugins import add_plugins  # noqa: PLC0415  (looks through all packages)

    add_plugins(app, entry_points)
    group: TyperGroup = get_command(app)  # type: ignore[assignment]
    _tidy(group)
    return group.commands  # type: ignore[return-value]


def _tidy(command: AnyCommand) -> None:
    """Let the help of a command that did not come by a leaf look as if it had."""
    command.help, command.epilog = _split(command.help or "")
    if isinstance(command, TyperGroup):
        for one in command.commands.values():
            _tidy(one)  # type: ignore[arg-type]


def _epilog(examples: str) -> str | None:
    if not examples:
        return None
    lines = inspect.cleandoc(f"\n{examples}").split("\n")
    return _plain("\n".join([EXAMPLES, *(f"  {line}" for line in lines)]))


def _plain(text: str) -> str:
    """Brackets in it are not markup."""
    return text.replace("[", "\\[")
