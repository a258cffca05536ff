"""The gateway of the demo: found, or started for the time of the demo; and JSON over HTTP to it."""

import http.client
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.client.address import DEFAULT_ADDRESS, Address

_CALL_LIMIT_S: Final = 30.0
_PROBE_LIMIT_S: Final = 2.0
# The first start makes a database; a slow disk needs most of this.
_START_LIMIT_S: Final = 180.0
_STOP_LIMIT_S: Final = 90.0
_LOOK_AGAIN_S: Final = 0.2

_BY_STATUS: Final = {
    400: ExitCode.INVALID,
    401: ExitCode.AUTH,
    403: ExitCode.AUTH,
    404: ExitCode.NOT_FOUND,
    409: ExitCode.INVALID,
}


def read_address(text: str) -> str:
    """The host:port of an address. Raises: Failure, ConfigError."""
    address = Address.parse(text)
    if address.tls:
        raise Failure(f"{text}: the demo calls without TLS; use host:port", ExitCode.USAGE)
    return address.target


def find(data_dir: Path) -> str | None:
    """The host:port of a gateway that answers: the one of the data directory, or the usual one."""
    named = _named_in(data_dir)
    return next((one for one in (named, DEFAULT_ADDRESS) if one and answers(one)), None)


def answers(address: str) -> bool:
    """Whether a gateway of Smart Audit lives at host:port."""
    connection = http.client.HTTPConnection(address, timeout=_PROBE_LIMIT_S)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        body: Any = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
    return bool(answer.status == http.client.OK and body == {"status": "ok"})


def post(address: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """POST a JSON object and return the answer's.

    Raises: Failure when it is refused, OSError when nobody answers.
    """
    connection = http.client.HTTPConnection(address, timeout=_CALL_LIMIT_S)
    try:
        connection.request(
            "POST", path, json.dumps(body), headers={"content-type": "application/json"}
        )
        answer = connection.getresponse()
        content: dict[str, Any] = json.loads(answer.read())
    except (http.client.HTTPException, ValueError) as error:
        raise Failure(f"POST {path}: the answer is not JSON: {error!r}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        code = _BY_STATUS.get(answer.status, ExitCode.GENERIC)
        raise Failure(f"POST {path}: {answer.status}: {content.get('message')}", code)
    return content


@contextmanager
def started(data_dir: Path) -> Iterator[str]:
    """Run a stack of our own on the data directory; yield its gateway's host:port.

    Raises: Failure when it does not come up.
    """
    command = [sys.executable, "-m", "smart_audit.cli", "up", "--data-dir", str(data_dir)]
    with tempfile.TemporaryFile() as complaints, _ended_by_sigterm():
        # In a session of its own, a Ctrl-C at the terminal reaches it through us alone.
        stack = subprocess.Popen(  # noqa: S603  (our own program)
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            start_new_session=True,
        )
        try:
            yield _wait_until_up(stack, data_dir, complaints)
        finally:
            stack.terminate()
            stack.wait(_STOP_LIMIT_S)


def _wait_until_up(stack: subprocess.Popen[bytes], data_dir: Path, complaints: IO[bytes]) -> str:
    give_up_at = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < give_up_at:
        if stack.poll() is not None:
            complaints.seek(0)
            said = complaints.read().decode(errors="replace").strip()
            raise Failure(f"the stack did not start:\n{said}")
        # The stack writes where it is only once everything is healthy.
        address = _named_in(data_dir)
        if address and answers(address):
            return address
        time.sleep(_LOOK_AGAIN_S)
    raise Failure(f"the stack did not start within {_START_LIMIT_S:.0f} seconds")


def _named_in(data_dir: Path) -> str | None:
    """The gateway that a running stack has written down; None when there is no such file."""
    try:
        state = json.loads((data_dir / "state.json").read_text(encoding="utf-8"))
        return read_address(state["gateway_url"])
    except (OSError, ValueError, KeyError, TypeError, Failure):
        return None


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the program like an exception, so that the stack is stopped too."""

    def leave(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
