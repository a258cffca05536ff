"""Requests that the description allows, and such as it does not, held against what it promises.

Schemathesis makes the requests and compares the answers: no 5xx, a status, a content type and a
body that are described. Beside that, each refusal must be for a reason that is described.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks as openapi_checks

DOCUMENT = Path(__file__).parents[2] / "gateway" / "openapi.json"
CHECKS = [
    not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
]
LIMIT_S = 60
ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
# What may end the session that calls, so that each call gets one of its own.
ENDS_SESSIONS = {
    "Logout",
    "LogoutAtV1AuthLogout",
    "ChangePassword",
    "DeleteMyAccount",
    "EndImpersonation",
    "LeaveOrganisation",
    "Reauthenticate",
    "ReauthenticateAtV1AuthReauthenticate",
    "RemoveMember",
    "RevokeOtherSessions",
    "RevokeSession",
    "SwitchOrganisation",
    "TransferOwnership",
    "UpdateOrganisation",
}
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
WRONG = (AssertionError, FailureGroup, requests.RequestException, jsonschema.ValidationError)
STREAMS = {"application/x-ndjson", "text/event-stream"}
TAILS = ("TailEventsAsLines", "TailEventsAsServerSentEvents")


def operation_ids() -> list[str]:
    """The names of all operations."""
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    items = document["paths"].values()
    return [operation["operationId"] for item in items for operation in item.values()]


@dataclass
class Caller:
    """Somebody who calls with a token, and logs in anew where it has ended."""

    url: str
    email: str
    password: str
    token: str

    def renew(self) -> None:
        """Open another session."""
        sent = {"email": self.email, "password": self.password}
        answer = requests.post(f"{self.url}/auth/login", json=sent, timeout=LIMIT_S)
        answer.raise_for_status()
        self.token = answer.json()["access_token"]

    def is_live(self) -> bool:
        """Whether the token is still taken."""
        headers = {"authorization": f"Bearer {self.token}"}
        answer = requests.get(f"{self.url}/auth/me", headers=headers, timeout=LIMIT_S)
        return answer.status_code == requests.codes.ok


@dataclass
class Fuzzing:
    """One run.

    caller: whose token is sent; None for calls without one. known: ids of things that are there, by
    the name of a parameter; every other call is about one of them.
    """

    url: str
    caller: Caller | None
    known: dict[str, str]
    examples: int
    seed: int
    only: frozenset[str] = frozenset()
    """The operations to try; all, when empty."""
    statuses: Counter[int] = field(default_factory=Counter)
    answered: set[str] = field(default_factory=set)
    """The operations that have succeeded."""
    in_turn: bool = False
    """One operation as the description allows it, the next as it does not; else each both ways."""
    found: list[str] = field(default_factory=list)
    """What is wrong, one text an operation."""

    async def run(self) -> "Fuzzing":
        """Try the operations; what is wrong is gathered, not raised.

        In a process of its own: Hypothesis sets the state of `random` at each try, and the services
        run in this process.
        """
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return await asyncio.get_running_loop().run_in_executor(pool, self.try_all)

    def try_all(self) -> "Fuzzing":
        """Try the operations, here."""
        document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
        self._line: Any = {**document, "$ref": "#/components/schemas/TailLine"}
        schema = schemathesis.openapi.from_dict(document)
        self._session = requests.Session()
        with self._session:
            for number, result in enumerate(schema.get_all_operations()):
                operation: Any = result.ok()  # type: ignore[union-attr]
                name = operation.definition.raw["operationId"]
                if self.only and name not in self.only:
                    continue
                if self.caller is not None and not self.caller.is_live():
                    self.caller.renew()
                for mode in MODES[number % 2 :: 2] if self.in_turn else MODES:
                    self._try(operation, name, mode)
        del self._session
        return self

    def _try(self, operation: Any, name: str, mode: GenerationMode) -> None:
        @seed(self.seed)
        @settings(
            max_examples=self.examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
        def check(case: Any, known: bool) -> None:
            if known:
                self._name_what_is_there(case)
            path = unquote(case.formatted_path)
            # Not sent as they are written: the path would be another one.
            assume(not any(part in (".", "..") for part in path.split("/")))
            try:
                self._check(case, name)
            except WRONG as error:
                self.found.append(
                    f"{name} ({mode.value}): {_told(error)}\n{case.as_curl_command()}"
                )

        # Where nothing is sent, nothing can be wrong.
        with suppress(Unsatisfiable):
            check()

    def _name_what_is_there(self, case: Any) -> None:
        for part in (case.path_parameters, case.query):
            for name in set(part or {}) & self.known.keys():
                part[name] = self.known[name]

    def _check(self, case: Any, name: str) -> None:
        headers = {}
        if self.caller is not None:
            if name in ENDS_SESSIONS:
                self.caller.renew()
            headers["authorization"] = f"Bearer {self.caller.token}"
        sent = case.as_transport_kwargs(base_url=self.url, headers=headers)
        # A stream never ends by itself: of it, what comes first is read.
        with closing(
            self._session.request(**sent, timeout=LIMIT_S, stream=name in TAILS)
        ) as answer:
            self.statuses[answer.status_code] += 1
            if answer.status_code == requests.codes.ok:
                self.answered.add(name)
                if name in TAILS:
                    self._check_stream(case, answer)
                    return
            case.validate_response(answer, checks=CHECKS)
            _check_reason(case, answer)

    def _check_stream(self, case: Any, answer: requests.Response) -> None:
        media = answer.headers["content-type"].partition(";")[0]
        assert media in case.operation.definition.raw["responses"]["200"]["content"]
        assert media in STREAMS
        lines = answer.iter_lines()
        line = next(text for text in lines if text.startswith((b"{", b"data: ")))
        jsonschema.validate(json.loads(line.removeprefix(b"data: ")), self._line)


def _check_reason(case: Any, answer: requests.Response) -> None:
    if answer.ok:
        return
    reason = next(iter(_reasons(answer.json())), None)
    if reason is None:
        return
    told = case.operation.definition.raw["responses"][str(answer.status_code)]
    if "$ref" in told:
        _, _, name = told["$ref"].rpartition("/")
        told = case.operation.schema.raw_schema["components"]["responses"][name]
    assert reason in told["x-reasons"], f"{answer.status_code} for {reason}, which is not described"


def _reasons(body: Any) -> Iterator[str]:
    """Of a `google.rpc.Status`; a body of OAuth has none."""
    for detail in body.get("details", ()):
        if detail["@type"] == ERROR_INFO:
            yield detail["reason"]


def _told(error: BaseException) -> str:
    """What is wrong, and with which request."""
    if isinstance(error, BaseExceptionGroup):
        return "\n".join(map(_told, error.exceptions))
    return str(error)
