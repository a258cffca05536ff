"""The command line as a whole: help, token, errors, plug-ins."""

import asyncio
import contextlib
import os
import pty
import signal
from importlib.metadata import EntryPoint

import pytest
import typer
from typer.testing import CliRunner

from smart_audit.cli import main, plugins
from smart_audit.cli.commands import COMMANDS
from tests.cli.cable import cable_to
from tests.support.events import event, record_batch, settled
from tests.support.factors import with_app
from tests.support.world import PASSWORD


async def test_the_password_comes_by_stdin_and_the_token_goes_to_stdout(cli, user):
    result = await cli.run("token", "--email", user.email, stdin=f"{PASSWORD}\n".encode())
    assert (result.code, result.err) == (0, "")
    token = result.out.removesuffix("\n")
    assert token.count(".") == 2
    verified = await cli.run("verify", "log", SMART_AUDIT_TOKEN=token)
    assert verified.code == 0


async def test_a_wrong_password_ends_with_4_and_one_sentence(cli, user):
    result = await cli.run("token", "--email", user.email, stdin=b"wrong password\n")
    assert (result.code, result.out) == (4, "")
    assert result.err.startswith("smart-audit: ")
    assert "CREDENTIALS_INVALID, request " in result.err
    assert len(result.err.splitlines()) == 1


async def test_no_password_is_a_usage_error(cli, user):
    result = await cli.run("token", "--email", user.email)
    assert (result.code, result.err) == (2, "smart-audit: no password on stdin\n")


async def test_a_second_factor_comes_by_stdin_after_the_password(cli, world, user):
    app = await with_app(world, user)
    asked = ("token", "--email", user.email)
    for code in (app.code(), app.recovery_codes[0]):
        result = await cli.run(*asked, stdin=f"{PASSWORD}\n{code}\n".encode())
        assert (result.code, result.out.count("."), result.err) == (0, 2, "")
    result = await cli.run(*asked, stdin=f"{PASSWORD}\n".encode())
    assert (result.code, result.err) == (2, "smart-audit: no code on stdin\n")


@pytest.mark.parametrize(
    "arguments", [["verify", "log", "--nonsense"], ["import", "cloudtrail"], ["nonsense"]]
)
async def test_wrong_usage_ends_with_2(cli, arguments):
    result = await cli.run(*arguments)
    assert result.code == 2
    assert result.out == ""


async def test_ctrl_c_ends_a_verification_with_130(cli, gateway, world, user):
    for _ in range(4):
        await record_batch(world, user, [event() for _ in range(1000)])
    async with cable_to(gateway.address) as cable:
        await cable.plug()
        process = await cli.start("verify", "log", SMART_AUDIT_ADDRESS=cable.address)
        # Connected, and some calls of many: 4,000 entries take 40, each of 200 bytes and more.
        await cable.until_sent(3_000)
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, out, err) == (130, b"", b"")


@pytest.mark.soak
async def test_a_service_that_comes_back_is_waited_for(cli, gateway, world, user):
    await settled(world, user)
    for _ in range(4):
        await record_batch(world, user, [event() for _ in range(1000)])
    async with cable_to(gateway.address) as cable:
        await cable.plug()
        process = await cli.start("verify", "log", SMART_AUDIT_ADDRESS=cable.address)
        await cable.until_sent(3_000)
        await cable.pull()
        assert (await process.stderr.readline()).endswith(b"; trying again for up to 10 seconds\n")
        await cable.plug()
        out, err = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, out.startswith(b"verified 4001 entries"), err) == (0, True, b"")


@pytest.mark.soak
async def test_a_service_that_stays_away_is_not_waited_for_without_end(cli, gateway, world, user):
    await record_batch(world, user, [event() for _ in range(1000)])
    async with cable_to(gateway.address) as cable:
        await cable.plug()
        process = await cli.start("verify", "log", SMART_AUDIT_ADDRESS=cable.address)
        await cable.until_sent(1_500)
        await cable.pull()
        out, err = await asyncio.wait_for(process.communicate(), 60)
    said = err.decode().splitlines()
    assert (process.returncode, out, len(said)) == (1, b"", 2)
    assert said[1].startswith("smart-audit: ")


async def test_on_a_terminal_a_bar_is_shown_that_leaves_nothing_on_stdout(cli, world, user):
    await record_batch(world, user, [event() for _ in range(1000)])
    terminal, end = pty.openpty()
    process = await cli.start("verify", "log", stderr=end, TERM="xterm", COLUMNS="100")
    os.close(end)
    # At once: a terminal that nobody reads takes a page, and then its writer waits.
    shown, (out, _) = await asyncio.wait_for(
        asyncio.gather(asyncio.to_thread(_read_all, terminal), process.communicate()), 60
    )
    assert process.returncode == 0
    assert out.startswith(b"verified ")
    assert b"\x1b" not in out
    assert b"entries" in shown


def _read_all(terminal):
    """All that was written to a terminal whose other end is closed."""
    with os.fdopen(terminal, "rb", buffering=0) as opened:
        parts = []
        with contextlib.suppress(OSError):
            while part := opened.read(65536):
                parts.append(part)
        return b"".join(parts)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ([], ["login", "events", "log", "orgs", "keys", "users", "config", "doctor", "up", "down"]),
        (["events", "import"], ["cloudtrail", "ocsf", "cloudevents", "jsonl"]),
        (["events", "import", "jsonl"], ["--map", "--set", "--outcome", "--mapping", "--dry-run"]),
        (["verify"], ["database", "file", "evidence", "Exit code 6"]),
        (["log", "verify"], ["--log", "--key", "--since", "--state-dir", "--no-events", "exit"]),
        (["verify", "file"], ["--key", "--checkpoint"]),
        (["verify", "evidence"], ["--key"]),
    ],
)
async def test_help_names_what_there_is(cli, command, words):
    result = await cli.run(*command, "--help", COLUMNS="200", SMART_AUDIT_TOKEN=None)
    assert (result.code, result.err) == (0, "")
    assert [word for word in words if word not in result.out] == []


@pytest.mark.parametrize(
    ("group", "before"), [(COMMANDS.plugins, []), ("smart_audit.cli.verify", ["verify"])], ids=str
)
def test_other_packages_add_commands(monkeypatch, group, before):
    provide(monkeypatch, group, "good", "broken")
    result = CliRunner().invoke(main.build(), [*before, "greet"])
    assert (result.exit_code, result.stdout) == (0, "hello\n")


@pytest.mark.parametrize(
    ("group", "before"), [(COMMANDS.plugins, []), ("smart_audit.cli.verify", ["verify"])], ids=str
)
def test_a_broken_plugin_is_named_and_harms_no_other(monkeypatch, group, before):
    provide(monkeypatch, group, "broken", "good")
    result = CliRunner().invoke(main.build(), [*before, "greet"])
    assert result.exit_code == 0
    assert "the commands of nowhere:register are missing" in result.stderr


def test_the_version_is_shown():
    result = CliRunner().invoke(main.build(), ["--version"])
    assert (result.exit_code, result.stdout.split()[0]) == (0, "smart-audit")


def provide(monkeypatch, group, *names):
    """Let there be plug-ins of one group."""
    values = {"good": f"{__name__}:register", "broken": "nowhere:register"}
    found = {group: [EntryPoint(name, values[name], group) for name in names]}
    monkeypatch.setattr(plugins, "entry_points", lambda group: found.get(group, []))


def register(app: typer.Typer) -> None:
    """What a plug-in provides."""

    @app.command("greet")
    def greet() -> None:
        typer.echo("hello")
