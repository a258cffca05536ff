"""`python -m benchmarks.rolling_restart`: are calls lost while everything is restarted in turn?

Calls are begun by the clock, whatever becomes of those before them, in equal parts as JSON and as
gRPC: reads, records and logins. None is repeated by the client. While they go on, auth, audit and
the gateway are restarted one after the other, by the command that a person would use.
"""

import argparse
import asyncio
import itertools
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import grpc.aio
import uvloop

from benchmarks.load import LIMIT_S
from benchmarks.system import PASSWORD, User, running_system
from smart_audit.api.audit.v1 import audit_pb2, audit_pb2_grpc
from smart_audit.api.auth.v1 import auth_pb2, auth_pb2_grpc
from smart_audit.stack import control
from smart_audit.stack.datadir import DataDir
from smart_audit.stack.services import HANDED_OVER_S

PARTS = ("auth", "audit", "gateway")
RATE = 200.0
# Of so many calls one is a login: more would measure argon2.
LOGIN_EVERY = 100
_AFTERWARDS_S = HANDED_OVER_S + 5.0

Call = Callable[[], Awaitable[None]]


@dataclass
class Seen:
    """What became of the calls."""

    answered: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0


class Load(AbstractAsyncContextManager["Load"]):
    """Calls through a gateway at host:port, `rate` a second."""

    def __init__(self, gateway: str, user: User, rate: float = RATE) -> None:
        self.seen = Seen()
        self._user = user
        self._rate = rate
        self._url = f"http://{gateway}"
        self._bearer = f"Bearer {user.access_token}"
        self._gateway = gateway
        self._running: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Load":
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._channel = grpc.aio.insecure_channel(self._gateway)
        self._auth: Any = auth_pb2_grpc.AuthServiceStub(self._channel)
        self._events: Any = audit_pb2_grpc.EventServiceStub(self._channel)
        self._clock = asyncio.create_task(self._begin_by_the_clock())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._clock.cancel()
        await asyncio.gather(*self._running)
        await self._http.close()
        await self._channel.close()

    async def _begin_by_the_clock(self) -> None:
        begun = time.monotonic()
        for number, call in enumerate(itertools.cycle(self._calls())):
            await asyncio.sleep(max(0.0, begun + number / self._rate - time.monotonic()))
            task = asyncio.create_task(self._watch(call))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _watch(self, call: Call) -> None:
        begun = time.monotonic()
        try:
            await call()
        except grpc.aio.AioRpcError as error:
            self.seen.failed[f"{call.__name__}: {error.code().name} {error.details()}"] += 1
        except aiohttp.ClientResponseError as error:
            self.seen.failed[f"{call.__name__}: {error.status}"] += 1
        except (aiohttp.ClientError, TimeoutError) as error:
            self.seen.failed[f"{call.__name__}: {error!r}"] += 1
        else:
            self.seen.answered += 1
        self.seen.slowest_s = max(self.seen.slowest_s, time.monotonic() - begun)

    def _calls(self) -> Sequence[Call]:
        """One round: half reads, half records, as JSON and as gRPC in turn, and a login."""
        mixed = [self._read, self._record, self._read_json, self._record_json]
        mixed += [self._who, self._record, self._who_json, self._record_json]
        round_of = list(itertools.islice(itertools.cycle(mixed), LOGIN_EVERY * 2))
        round_of[0], round_of[LOGIN_EVERY] = self._login, self._login_json
        return round_of

    async def _read(self) -> None:
        request = audit_pb2.ListEventsRequest(page_size=3)
        await self._events.ListEvents(request, metadata=self._metadata(), timeout=LIMIT_S)

    async def _who(self) -> None:
        await self._auth.GetMe(auth_pb2.GetMeRequest(), metadata=self._metadata(), timeout=LIMIT_S)

    async def _record(self) -> None:
        event = audit_pb2.Event(
            id=str(uuid4()),
            action="document.read",
            actor=audit_pb2.Actor(id="u_1"),
            outcome=audit_pb2.OUTCOME_SUCCESS,
        )
        request = audit_pb2.RecordEventRequest(event=event)
        await self._events.RecordEvent(request, metadata=self._metadata(), timeout=LIMIT_S)

    async def _login(self) -> None:
        request = auth_pb2.LoginRequest(email=self._user.email, password=PASSWORD)
        await self._auth.Login(request, timeout=LIMIT_S)

    async def _read_json(self) -> None:
        await self._ask("GET", "/v1/events?page_size=3")

    async def _who_json(self) -> None:
        await self._ask("GET", "/auth/me")

    async def _record_json(self) -> None:
        event = {"id": str(uuid4()), "action": "document.read", "actor": {"id": "u_1"}}
        await self._ask("POST", "/v1/events", event | {"outcome": "OUTCOME_SUCCESS"})

    async def _login_json(self) -> None:
        await self._ask("POST", "/auth/login", {"email": self._user.email, "password": PASSWORD})

    async def _ask(self, method: str, path: str, body: Any = None) -> None:
        answer = self._http.request(
            method,
            self._url + path,
            json=body,
            headers={"authorization": self._bearer},
            raise_for_status=True,
            timeout=aiohttp.ClientTimeout(LIMIT_S),
        )
        async with answer as response:
            await response.read()

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", self._bearer),)


async def new_user(gateway: str) -> User:
    """Sign a new user up, and log in."""
    email = f"{uuid4().hex}@example.com"
    async with grpc.aio.insecure_channel(gateway) as channel:
        auth: Any = auth_pb2_grpc.AuthServiceStub(channel)
        names = {"first_name": "Ada", "last_name": "Lovelace"}
        await auth.Signup(auth_pb2.SignupRequest(email=email, password=PASSWORD, **names))
        answer = await auth.Login(auth_pb2.LoginRequest(email=email, password=PASSWORD))
    return User(email, answer.organisation_id, answer.access_token, answer.refresh_token)


async def _measure(rate: float, rounds: int) -> bool:
    async with running_system() as system:
        data = DataDir(system.folder / "data")
        path = Path(data.read_state()["control_socket"])
        gateway = f"127.0.0.1:{system.gateway_port}"
        user = await new_user(gateway)
        lost = 0
        for part in PARTS * rounds:
            async with Load(gateway, user, rate) as load:
                await asyncio.sleep(2.0)
                begun = time.monotonic()
                await asyncio.to_thread(control.request_restart, path, part, lambda _: None)
                took_s = time.monotonic() - begun
                # The gateway before still answers what it is at.
                await asyncio.sleep(_AFTERWARDS_S if part == "gateway" else 2.0)
            seen = load.seen
            failed = sum(seen.failed.values())
            lost += failed
            print(
                f"{part}: restarted in {took_s:.1f} s; {seen.answered} calls answered, "
                f"{failed} failed; the slowest took {seen.slowest_s:.2f} s",
                *(f"  {count} x {why}" for why, count in seen.failed.most_common(5)),
                sep="\n",
                flush=True,
            )
    return lost == 0


def main() -> int:
    """Measure and print; 1 when a call failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rolling_restart")
    parser.add_argument("--rate", type=float, default=RATE, help="calls a second")
    parser.add_argument("--rounds", type=int, default=1, help="restarts of each part")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return 0 if runner.run(_measure(options.rate, options.rounds)) else 1


if __name__ == "__main__":
    sys.exit(main())
