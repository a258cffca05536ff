"""The kit itself: access rules, request ids, masking, the one error shape."""

import grpc
import grpc.aio
import psycopg
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.rpc import code_pb2, error_details_pb2
from grpc_status import rpc_status
from sqlalchemy import exc

from smart_audit.api.audit.v1 import (
    analytics_pb2,
    audit_pb2,
    event_types_pb2,
    exports_pb2,
    governance_pb2,
    saved_searches_pb2,
    search_pb2,
    tail_pb2,
    tiles_pb2,
)
from smart_audit.api.auth.v1 import auth_pb2
from smart_audit.api.errors.v1 import errors_pb2
from smart_audit.core import errors
from smart_audit.core.rpc.access import rules_of
from smart_audit.core.rpc.status import from_exception
from smart_audit.stack import failures
from tests.support.world import refusal


def test_each_method_of_each_service_declares_who_may_call_it():
    services = [
        service
        for file in (
            auth_pb2.DESCRIPTOR,
            analytics_pb2.DESCRIPTOR,
            audit_pb2.DESCRIPTOR,
            exports_pb2.DESCRIPTOR,
            governance_pb2.DESCRIPTOR,
            tiles_pb2.DESCRIPTOR,
            event_types_pb2.DESCRIPTOR,
            saved_searches_pb2.DESCRIPTOR,
            search_pb2.DESCRIPTOR,
            tail_pb2.DESCRIPTOR,
        )
        for service in file.services_by_name.values()
    ]
    rules = rules_of(services)
    public = {name.rsplit("/", 1)[1] for name, rule in rules.items() if rule.public}
    assert public == {
        "Signup",
        "Login",
        "CompleteLogin",
        "BeginPasskeyLogin",
        "FinishPasskeyLogin",
        "RefreshToken",
        "GetJwks",
        "GetLogKey",
    }
    optional = {name.rsplit("/", 1)[1] for name, rule in rules.items() if rule.optional}
    assert optional == {"GetLogCheckpoint", "GetTile"}
    assert len(rules) == 53


def test_a_method_without_a_rule_keeps_the_service_from_starting():
    file = descriptor_pb2.FileDescriptorProto(name="forgetful.proto", package="forgetful")
    file.message_type.add(name="Empty")
    file.service.add(name="Forgetful").method.add(
        name="Forgotten", input_type=".forgetful.Empty", output_type=".forgetful.Empty"
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    with pytest.raises(ValueError, match=r"Forgetful\.Forgotten declares no access rule"):
        rules_of([pool.FindServiceByName("forgetful.Forgetful")])


def test_every_refusal_of_services_and_gateway_has_a_reason_of_the_protocol():
    names = set(errors_pb2.ErrorReason.keys())
    pending, seen = [errors.DomainError], set()
    while pending:
        kind = pending.pop()
        seen.add(kind)
        pending += kind.__subclasses__()
    reasons = {kind.reason for kind in seen if hasattr(kind, "reason")}
    assert len(reasons) > 12
    reasons |= {failure.reason for failure in failures.FAILURES}
    assert {f"ERROR_REASON_{reason}" for reason in reasons} <= names


def test_what_is_no_refusal_is_masked():
    status = from_exception(RuntimeError("password=hunter2"), "r1")
    assert status.code == code_pb2.INTERNAL
    assert "hunter2" not in str(status)
    assert "r1" in str(status)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (exc.TimeoutError("pool"), code_pb2.UNAVAILABLE),
        (exc.OperationalError("s", None, psycopg.OperationalError()), code_pb2.UNAVAILABLE),
        (psycopg.OperationalError(), code_pb2.UNAVAILABLE),
        (psycopg.errors.AdminShutdown(), code_pb2.UNAVAILABLE),
        (psycopg.errors.TooManyConnections(), code_pb2.UNAVAILABLE),
        (psycopg.errors.LockNotAvailable(), code_pb2.INTERNAL),
        (exc.ProgrammingError("s", None, psycopg.ProgrammingError()), code_pb2.INTERNAL),
        (errors.Unavailable("x"), code_pb2.UNAVAILABLE),
        (errors.ResourceExhausted("x"), code_pb2.RESOURCE_EXHAUSTED),
    ],
)
def test_an_absent_database_may_be_retried(error, code):
    assert from_exception(error, "r1").code == code


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-123", True), ("x" * 65, False), ("two words", False), ("", False)]
)
async def test_a_request_id_is_kept_if_it_is_safe_to_log(world, given, kept):
    call = world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=(("x-request-id", given),))
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    status = rpc_status.from_call(raised.value)
    (info,) = [
        request
        for detail in status.details
        for request in [error_details_pb2.RequestInfo()]
        if detail.Unpack(request)
    ]
    assert (info.request_id == given) is kept
    assert info.request_id


async def test_a_failure_of_our_own_leaks_nothing(world):
    user = await world.new_user()
    await world.database.alter("ALTER TABLE auth.users RENAME TO users_away")
    try:
        refused = await refusal(world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=user.metadata))
    finally:
        await world.database.alter("ALTER TABLE auth.users_away RENAME TO users")
    assert refused.code is grpc.StatusCode.INTERNAL
    assert refused.message == "internal error; the request id finds it in the logs"
