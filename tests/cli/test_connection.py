"""A connection keeps its session alive and is patient with a service that is away."""

import asyncio
import itertools

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client.connection import LAST_PAUSE_S, Connection, Session, pauses
from smart_audit.client.errors import CallError
from tests.cli.cable import cable_to

NOBODY = "failed to connect to all addresses; last error:"
REFUSED = "Failed to connect to remote host: Connection refused"


def checkpoint(connection):
    return connection.call(connection.log.GetCheckpoint, audit_pb2.GetCheckpointRequest())


def failed(code, message, *details):
    """What grpc raises for a call that ended with a google.rpc.Status."""
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        status.details.add().Pack(detail)
    trailers = grpc.aio.Metadata(("grpc-status-details-bin", status.SerializeToString()))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers, details=message)


async def test_a_refused_access_token_is_renewed_once_for_all_calls(gateway, user):
    session = Session("e30.e30.e30", user.refresh_token)
    async with Connection(gateway.address, session) as connection:
        answers = await asyncio.gather(*(checkpoint(connection) for _ in range(8)))
    assert len({answer.origin for answer in answers}) == 1
    assert session.access_token != "e30.e30.e30"
    assert session.refresh_token != user.refresh_token


async def test_without_a_refresh_token_the_refusal_is_passed_on(gateway):
    async with Connection(gateway.address, Session("e30.e30.e30")) as connection:
        with pytest.raises(CallError) as refused:
            await checkpoint(connection)
    assert refused.value.code is grpc.StatusCode.UNAUTHENTICATED


async def test_a_refresh_token_that_is_refused_too_ends_the_call(gateway):
    session = Session("e30.e30.e30", "unknown")
    async with Connection(gateway.address, session) as connection:
        with pytest.raises(CallError) as refused:
            await checkpoint(connection)
    assert refused.value.reason == "TOKEN_INVALID"
    assert refused.value.request_id


async def test_a_call_waits_for_a_service_that_comes_back(gateway, user):
    told: list[CallError] = []
    session = Session(user.access_token)
    async with (
        cable_to(gateway.address) as cable,
        Connection(cable.address, session, retry_for_s=20, on_trouble=told.append) as connection,
    ):
        waiting = asyncio.create_task(checkpoint(connection))
        await asyncio.sleep(1)
        assert not waiting.done()
        await cable.plug()
        assert (await waiting).origin
    assert [error.code for error in told] == [grpc.StatusCode.UNAVAILABLE]


async def test_patience_ends(user):
    async with (
        cable_to("127.0.0.1:1") as cable,
        Connection(cable.address, Session(user.access_token), retry_for_s=0.5) as connection,
    ):
        with pytest.raises(CallError) as failure:
            await asyncio.wait_for(checkpoint(connection), 10)
    assert failure.value.code is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            f"{NOBODY} UNKNOWN: ipv4:127.0.0.1:8000: {REFUSED}",
            "no connection to 127.0.0.1:8000: Connection refused",
        ),
        (
            f"{NOBODY} UNKNOWN: ipv6:%5B::1%5D:8000: {REFUSED}",
            "no connection to [::1]:8000: Connection refused",
        ),
        (
            f"{NOBODY} UNKNOWN: ipv4:10.0.0.1:443: Ssl handshake failed: certificate verify failed",
            "no connection to 10.0.0.1:443: Ssl handshake failed: certificate verify failed",
        ),
        ("DNS resolution failed for nowhere.invalid:80", None),
        (NOBODY, None),
    ],
)
def test_who_is_not_there_is_told_in_short(said, shown):
    metadata = grpc.aio.Metadata()
    error = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, metadata, metadata, said)
    assert CallError.of(error).message == (shown or said)


async def test_a_command_says_that_it_waits(cli, gateway):
    async with cable_to(gateway.address) as cable:
        waiting = await cli.start("whoami", SMART_AUDIT_ADDRESS=cable.address)
        said = (await waiting.stderr.readline()).decode()
        assert said == (
            f"smart-audit: no connection to {cable.address}: Connection refused (UNAVAILABLE); "
            "trying again for up to 10 seconds\n"
        )
        await cable.plug()
        out, err = await waiting.communicate()
    assert (await waiting.wait(), err) == (0, b"")
    assert b"owner" in out


def test_pauses_grow_to_a_limit():
    first, *_, last = itertools.islice(pauses(), 1200)
    assert 0.05 <= first <= 0.1
    assert LAST_PAUSE_S / 2 <= last <= LAST_PAUSE_S


def test_a_failure_is_read_from_its_details():
    error = CallError.of(
        failed(
            grpc.StatusCode.INVALID_ARGUMENT,
            "page_token is bad.",
            error_details_pb2.ErrorInfo(
                reason="PAGE_TOKEN_INVALID", domain="smart-audit", metadata={"a": "b"}
            ),
            error_details_pb2.RequestInfo(request_id="r-1"),
            error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(field="x", description="is odd")
                ]
            ),
        )
    )
    assert str(error) == "page_token is bad: x is odd (PAGE_TOKEN_INVALID, request r-1)"
    assert error.metadata == {"a": "b"}
    assert not error.may_pass


def test_details_that_contradict_the_code_are_left_aside():
    raised = failed(grpc.StatusCode.NOT_FOUND, "gone")
    other = grpc.aio.AioRpcError(
        grpc.StatusCode.ABORTED, grpc.aio.Metadata(), raised.trailing_metadata(), "stopped"
    )
    assert str(CallError.of(other)) == "stopped (ABORTED)"


@pytest.mark.parametrize(
    ("error", "may_pass"),
    [
        (CallError(grpc.StatusCode.UNAVAILABLE, "", "UNAVAILABLE"), True),
        (CallError(grpc.StatusCode.DEADLINE_EXCEEDED, ""), True),
        (CallError(grpc.StatusCode.RESOURCE_EXHAUSTED, "", "OVERLOADED"), True),
        (CallError(grpc.StatusCode.RESOURCE_EXHAUSTED, "message larger than max"), False),
        (CallError(grpc.StatusCode.INTERNAL, "RST_STREAM"), True),
        (CallError(grpc.StatusCode.INTERNAL, "", "INTERNAL"), False),
        (CallError(grpc.StatusCode.UNAUTHENTICATED, "Jwks remote fetch is failed"), True),
        (CallError(grpc.StatusCode.UNAUTHENTICATED, "Jwt is expired"), False),
        (CallError(grpc.StatusCode.NOT_FOUND, "", "EVENT_NOT_FOUND"), False),
    ],
)
def test_only_what_may_pass_is_tried_again(error, may_pass):
    assert error.may_pass is may_pass
