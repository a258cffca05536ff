"""What hooks make of errors, rollbacks and traces, seen where recorders take events in."""

import asyncio
import logging
from contextlib import suppress
from contextvars import copy_context
from types import SimpleNamespace

import pytest
from flask import Flask
from opentelemetry import trace
from sqlalchemy import String, create_engine, insert, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client import Recorder
from smart_audit.client.hooks import django
from smart_audit.client.hooks.asgi import AuditMiddleware
from smart_audit.client.hooks.audited import audited
from smart_audit.client.hooks.context import acting_as, record_here
from smart_audit.client.hooks.flask import Audit
from smart_audit.client.hooks.logs import AuditHandler
from smart_audit.client.hooks.sqlalchemy import capture_changes
from smart_audit.core.rpc.validation import violations_of


@pytest.fixture
def recorder():
    with Recorder(spool=None, exit_s=0) as recorder:
        yield recorder


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "some rows"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


@pytest.fixture
def sessions(recorder):
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    made = sessionmaker(engine)
    capture_changes(made, recorder)
    return made


def changes(events):
    return [(event.action, event.targets[0].id) for event in events]


def test_only_what_is_committed_is_recorded(sessions, audit_events):
    with sessions() as session:
        session.add(Row(id=1, name="a"))
        session.flush()
        assert audit_events == []
        session.rollback()
        session.add(Row(id=2, name="b"))
        session.commit()
        session.delete(session.get_one(Row, 2))
        session.commit()
    assert changes(audit_events) == [("some_rows.insert", "2"), ("some_rows.delete", "2")]
    assert audit_events[0].actor.id == "unknown"


def test_a_savepoint_that_is_rolled_back_takes_its_own_changes_alone(sessions, audit_events):
    with sessions.begin() as session:
        session.add(Row(id=1, name="a"))
        with session.begin_nested():
            session.add(Row(id=2, name="b"))
        with session.begin_nested() as savepoint:
            session.add(Row(id=3, name="c"))
            session.flush()
            savepoint.rollback()
        assert audit_events == []
        session.add(Row(id=4, name="d"))
    assert changes(audit_events) == [("some_rows.insert", n) for n in ("1", "2", "4")]


def test_a_flush_that_fails_in_a_savepoint_takes_the_savepoint_alone(sessions, audit_events):
    with sessions.begin() as session:
        session.add(Row(id=1, name="a"))
        session.flush()
        with suppress(IntegrityError), session.begin_nested():
            session.add(Row(id=2, name="b"))
            session.flush()
            session.execute(insert(Row).values(id=1, name="again"))
        session.expunge_all()
        with suppress(IntegrityError), session.begin_nested():
            session.add_all([Row(id=3, name="c"), Row(id=1, name="again")])
            session.flush()
        session.add(Row(id=4, name="d"))
    assert changes(audit_events) == [("some_rows.insert", n) for n in ("1", "4")]


def test_a_statement_over_many_rows_is_one_event(sessions, audit_events):
    with acting_as("u_1"), sessions.begin() as session:
        session.add_all([Row(id=1, name="a"), Row(id=2, name="b")])
        session.flush()
        session.execute(update(Row).values(name="c"))
    assert changes(audit_events)[2:] == [("some_rows.update", "some rows")]
    assert audit_events[2].targets[0].type == "table"
    assert {event.actor.id for event in audit_events} == {"u_1"}


def test_a_row_that_is_touched_and_not_changed_is_no_event(sessions, audit_events):
    with sessions.begin() as session:
        session.add(Row(id=1, name="a"))
    with sessions.begin() as session:
        session.get_one(Row, 1).name = "a"
    assert len(audit_events) == 1


class Wide(Base):
    __tablename__ = "wide"
    id: Mapped[int] = mapped_column(primary_key=True)
    for n in range(20):
        vars()[f"c{n}"] = mapped_column(String)
    del n


def test_values_that_are_too_large_keep_no_change_from_being_recorded(
    recorder, sessions, audit_events
):
    values = {"some rows": {"name"}, "wide": {f"c{n}" for n in range(20)}}
    shown = sessionmaker(sessions.kw["bind"])
    capture_changes(shown, recorder, values=values)
    with shown.begin() as session:
        session.add(Row(id=1, name="\N{GRINNING FACE}" * 100_000))
        session.flush()
        session.add(Wide(id=1, **{f"c{n}": "\N{GRINNING FACE}" * 10_000 for n in range(20)}))
    row, wide = audit_events
    assert len(row.metadata["values"]["name"]["after"]) == 4096
    assert "values" not in wide.metadata
    assert wide.metadata["values_left_out"]
    for event in audit_events:
        assert violations_of(event) == {}
        assert event.metadata.ByteSize() <= 256 * 1024


def test_no_name_keeps_an_event_from_being_recorded(recorder, audit_events):
    record_here(recorder, "a.b", {"id": "\n" * 300, "name": "x" * 300})
    with acting_as("u" * 300):
        record_here(recorder, "a.c")
    assert [violations_of(event) for event in audit_events] == [{}, {}]
    assert len(audit_events[0].actor.name) == 256


def test_a_request_that_ends_in_another_context_ends(recorder, audit_events):
    app = Flask(__name__)
    audit = Audit(recorder, app)
    with app.test_request_context("/", method="POST"):
        copy_context().run(audit._begin)
        audit._end(None)


async def test_users_are_looked_up_for_what_is_recorded_and_may_be_unknown(
    recorder, audit_events, monkeypatch
):
    monkeypatch.setattr(django, "settings", SimpleNamespace(SMART_AUDIT_RECORDER=recorder))
    asked = []

    async def answer(request):
        return SimpleNamespace(status_code=200)

    async def auser():
        asked.append(1)
        raise OSError("the database is away")

    def request(method):
        return SimpleNamespace(
            method=method, path="/", META={}, headers={}, resolver_match=None, auser=auser
        )

    middleware = django.AuditMiddleware(answer)
    assert (await middleware(request("GET"))).status_code == 200
    assert asked == []
    assert (await middleware(request("POST"))).status_code == 200
    assert [event.actor.id for event in audit_events] == ["unknown"]


async def test_coroutines_are_audited_alike(recorder, audit_events):
    @audited("a.wait", recorder, metadata=lambda given: {"n": given["n"]})
    async def wait(n, *, fail=False):
        """Waits."""
        await asyncio.sleep(0)
        if fail:
            raise KeyError("secret")
        return n

    assert await wait(3) == 3
    with pytest.raises(KeyError):
        await wait(n=4, fail=True)
    with pytest.raises(TypeError):
        await wait(m=1)  # type: ignore[call-arg]
    assert wait.__doc__ == "Waits."
    first, second = audit_events
    assert (first.outcome, first.metadata["n"]) == (audit_pb2.OUTCOME_SUCCESS, 3)
    assert (second.outcome, second.outcome_reason) == (audit_pb2.OUTCOME_FAILURE, "KeyError")
    assert "secret" not in str(second)


def test_what_a_hook_is_given_may_fail_without_the_program(recorder):
    @audited("a.b", recorder, targets=lambda given: given["no such argument"])
    def work():
        return 1

    with acting_as(lambda: str(1 / 0)):
        assert work() == 1
        record_here(recorder, "a.c")
    assert recorder.counters.dropped == {"malformed": 1}
    assert recorder.counters.accepted == 1


async def test_a_request_that_crashes_is_a_failure(recorder, audit_events):
    async def app(scope, receive, send):
        record_here(recorder, "inside", targets=[])
        raise RuntimeError("secret")

    middleware = AuditMiddleware(app, recorder, actor=lambda scope: scope["who"])
    scope = {
        "type": "http",
        "method": "DELETE",
        "path": "/x",
        "headers": [(b"user-agent", b"ua")],
        "client": ("192.0.2.1", 1),
        "who": "u_1",
    }
    with pytest.raises(RuntimeError):
        await middleware(scope, None, None)
    assert [event.actor.id for event in audit_events] == ["u_1", "u_1"]
    assert audit_events.actions == ["inside", "http.delete"]
    assert [event.source_address for event in audit_events] == ["192.0.2.1"] * 2
    assert audit_events[1].outcome_reason == "500"
    assert "secret" not in str(audit_events)


async def test_nothing_in_a_request_keeps_it_from_being_recorded(recorder, audit_events):
    async def app(scope, receive, send):
        pass

    def unnamed(handled):
        raise KeyError

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/documents/\n\x9b" + "x" * 1000,
        "headers": [(b"user-agent", b"\t" * 10_000)],
        "client": ("x" * 1000, 1),
    }
    await AuditMiddleware(app, recorder)(scope, None, None)
    (event,) = audit_events
    assert violations_of(event) == {}
    await AuditMiddleware(app, recorder, action=unnamed)(scope, None, None)
    assert recorder.counters.dropped == {"malformed": 1}


async def test_requests_are_chosen_and_named(recorder, audit_events):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 403})

    async def send(message):
        pass

    middleware = AuditMiddleware(
        app,
        recorder,
        methods=["GET"],
        action=lambda handled: "document.read" if handled.path.startswith("/d") else "",
    )
    for method, path in (("GET", "/d/1"), ("GET", "/health"), ("POST", "/d/1")):
        await middleware(
            {"type": "http", "method": method, "path": path, "headers": []}, None, send
        )
    (event,) = audit_events
    assert (event.action, event.outcome) == ("document.read", audit_pb2.OUTCOME_DENIED)


def test_what_we_log_of_ourselves_is_not_recorded(recorder, audit_events):
    log = logging.getLogger("smart_audit.recorder")
    handler = AuditHandler(recorder)
    log.addHandler(handler)
    try:
        log.warning("no", extra={"audit": {"action": "a.b"}})
    finally:
        log.removeHandler(handler)
    assert audit_events == []


def test_the_trace_goes_along(recorder):
    seen = []
    recorder.send = seen.append
    context = trace.SpanContext(0xABC, 0xDEF, is_remote=False)
    with trace.use_span(trace.NonRecordingSpan(context)):
        recorder.record("a.b", "u_1", metadata={"n": 1})
    recorder.record("a.b", "u_1")
    assert dict(seen[0].metadata) == {
        "trace_id": f"{0xABC:032x}",
        "span_id": f"{0xDEF:016x}",
        "n": 1,
    }
    assert not seen[1].HasField("metadata")
