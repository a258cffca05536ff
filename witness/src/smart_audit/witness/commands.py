"""The commands `smart-audit witness serve` and `smart-audit witness key`."""

import asyncio
import logging
import signal
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from smart_audit.tlog.cosignature import Cosigner
from smart_audit.witness.identity import STATE_FILE, StateUnusable, open_identity, read_identity
from smart_audit.witness.known_logs import KnownLogs, UnknownKey, read_key, read_policy

StateOption = Annotated[
    Path, typer.Option("--state", help="Folder of the key and of what was cosigned.")
]


def register(app: typer.Typer) -> None:
    """Add this package's commands to the `smart-audit` command."""
    witness = typer.Typer(no_args_is_help=True, help="Watch logs of others (C2SP tlog-witness).")
    witness.command("serve")(serve)
    witness.command("key")(key)
    app.add_typer(witness, name="witness")


def serve(
    state: StateOption,
    name: Annotated[
        str | None, typer.Option(help="The witness's name, needed at the first start only.")
    ] = None,
    log: Annotated[
        list[str] | None, typer.Option(help="Verifier key of a log; may be repeated.")
    ] = None,
    logs: Annotated[
        Path | None, typer.Option(help="A C2SP tlog-policy; its log lines are known logs.")
    ] = None,
    installation: Annotated[
        list[str] | None,
        typer.Option(help="Verifier key of any log of a Smart Audit installation; all are known."),
    ] = None,
    listen: Annotated[str, typer.Option(help="host:port; port 0 takes a free one.")] = (
        "127.0.0.1:7380"
    ),
) -> None:
    """Cosign the checkpoints of known logs until Ctrl-C.

    Examples:
    smart-audit witness serve --state witness --name witness.example.com/w1 --logs policy.txt
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    try:
        known = _known_logs(log or [], logs, installation or [])
        host, port = _host_and_port(listen)
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        cosigner = open_identity(state, name)
        asyncio.run(_serve(state / STATE_FILE, known, cosigner, host, port))
    except (UnknownKey, StateUnusable) as error:
        _fail(str(error))
    except sqlite3.Error as error:
        _fail(f"{state / STATE_FILE}: {error}")


def key(state: StateOption) -> None:
    """Print the witness's verifier key, for the policies of those who trust it.

    Examples:
    smart-audit witness key --state witness
    """
    try:
        typer.echo(read_identity(state).verifier.verifier_key)
    except FileNotFoundError:
        _fail(f"{state} holds no witness: start one with `smart-audit witness serve`")
    except StateUnusable as error:
        _fail(str(error))


async def _serve(state: Path, logs: KnownLogs, cosigner: Cosigner, host: str, port: int) -> None:
    # aiohttp takes a quarter of a second to import, which every other command would wait for.
    from smart_audit.witness.server import listening  # noqa: PLC0415

    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with listening(state, logs, cosigner, time.time, host, port) as bound:
        typer.echo(f"{cosigner.name} listens on http://{host}:{bound}", err=True)
        await stopped.wait()


def _known_logs(
    keys: Sequence[str], policy: Path | None, installations: Sequence[str]
) -> KnownLogs:
    """Raises: UnknownKey."""
    known = [read_key(each) for each in keys]
    if policy is not None:
        try:
            known += read_policy(policy.read_bytes())
        except UnknownKey as error:
            raise UnknownKey(f"{policy}: {error}") from error
    logs = KnownLogs(known, map(read_key, installations))
    if not logs:
        raise UnknownKey("no log is known: give --log, --logs or --installation")
    return logs


def _host_and_port(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal():
        raise typer.BadParameter(f"{listen} is not host:port", param_hint="--listen")
    return host.strip("[]"), int(port)


def _fail(sentence: str) -> NoReturn:
    typer.echo(f"smart-audit: {sentence}", err=True)
    raise typer.Exit(1)
