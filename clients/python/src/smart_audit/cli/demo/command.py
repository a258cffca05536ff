"""The command `demo`."""

from pathlib import Path
from typing import Annotated

import typer

from smart_audit.cli.demo import gateway
from smart_audit.cli.demo.show import Steps
from smart_audit.cli.demo.tour import Tour, Visitor, show_next
from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.cli.terminal import notices, output, say
from smart_audit.client.blocking import BlockingConnection
from smart_audit.client.settings import ADDRESS_VARIABLE


def demo(
    address: Annotated[
        str | None,
        typer.Option(
            envvar=ADDRESS_VARIABLE,
            help="The gateway's host:port; without it a running stack is found, or one is started.",
        ),
    ] = None,
    data_dir: Annotated[Path, typer.Option(help="Where the stack keeps its data.")] = Path(
        ".smart-audit"
    ),
    records: Annotated[Path, typer.Option(help="The CloudTrail records to import.")] = Path(
        "tests/data/cloudtrail/events.jsonl.gz"
    ),
) -> None:
    """Sign up, log in, import real events, find some, and prove one.

    The exit code is 6 when a verification fails.

    Examples:
    smart-audit demo
    smart-audit demo --address localhost:9000
    """
    if not records.is_file():
        raise Failure(
            f"{records} is not there; run in the repository, or name another by --records",
            ExitCode.USAGE,
        )
    found = gateway.find(data_dir) if address is None else _answering(gateway.read_address(address))
    if found is not None:
        _run(found, records, stays=True)
        return
    say(notices(), "no stack is running: starting one for this demo, which may take a minute")
    with gateway.started(data_dir) as own:
        _run(own, records, stays=False)


def _answering(address: str) -> str:
    if not gateway.answers(address):
        raise Failure(f"no gateway answers at {address}; start one with: smart-audit up")
    return address


def _run(address: str, records: Path, *, stays: bool) -> None:
    steps = Steps(output())
    visitor = Visitor()
    with steps.step("Sign up"):
        organisation_id = visitor.sign_up(address)
        steps.tell(f"user {visitor.email}")
        steps.tell(f"organisation {organisation_id}, with a log of its own")
    with steps.step("Log in"):
        session = visitor.log_in(address)
        steps.tell("an access token, and a refresh token to renew it with")
    with BlockingConnection(address, session) as connection:
        Tour(connection, steps).run(str(records))
    steps.summary()
    show_next(steps, visitor, address, stays=stays)
