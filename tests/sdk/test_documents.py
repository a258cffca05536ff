"""The examples of docs/sdk are run as they stand there, and what they record is looked for."""

import asyncio
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from django.test import AsyncClient, Client
from fastapi.testclient import TestClient

from smart_audit.api.audit.v1 import audit_pb2

DOCS = Path(__file__).parents[2] / "docs" / "sdk"
SECTION = re.compile(r"^## (.*?)$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def examples(page):
    """The blocks of a page by their section, "" for what stands before the first."""
    text = (DOCS / page).read_text()
    sections = {"": text.split("\n## ", 1)[0], **dict(SECTION.findall(text))}
    found = {name: BLOCK.findall(part) for name, part in sections.items()}
    return {name: blocks for name, blocks in found.items() if blocks}


HOOKS = examples("hooks.md")


@pytest.fixture
def environment(gateway, machine, tmp_path, monkeypatch):
    """What `from_env` finds."""
    monkeypatch.setenv("SMART_AUDIT_ADDRESS", gateway.address)
    monkeypatch.setenv("SMART_AUDIT_API_KEY", machine[1].secret)
    monkeypatch.setenv("SMART_AUDIT_SPOOL_DIR", str(tmp_path / "spool"))


@pytest.fixture
def run(environment, monkeypatch):
    """Runs an example in another thread, since the services live in this one's loop."""
    modules = []

    async def run(block, then=id):
        module = ModuleType(f"example_{len(modules)}")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        modules.append(module)

        def all_of_it():
            exec(compile(block, "example", "exec"), vars(module))
            result = then(module)
            if recorder := vars(module).get("recorder"):
                assert recorder.flush(30), recorder.counters
                recorder.close()
                assert not recorder.counters.dropped
            return result

        return await asyncio.to_thread(all_of_it)

    return run


@pytest.fixture
def recorded(client):
    """The events by an action, the oldest first."""

    async def recorded(action):
        found = [event async for event in client.events.list(f'action="{action}"')]
        return sorted(found, key=lambda event: event.log_index)

    return recorded


def sent(client, **more):
    """A request that is accepted, and one to nowhere."""
    assert client.post("/documents/d_1", **more).status_code == 200
    assert client.post("/nowhere", **more).status_code == 404


def paths(events):
    return [(event.actor.id, event.targets[0].id, event.outcome) for event in events]


SUCCESS, FAILURE, DENIED = (
    audit_pb2.OUTCOME_SUCCESS,
    audit_pb2.OUTCOME_FAILURE,
    audit_pb2.OUTCOME_DENIED,
)


async def test_the_client_does_what_its_page_shows(run, recorded, capsys):
    waits, with_loop = examples("python.md")["A client"]
    await run(waits)
    said = capsys.readouterr().out
    assert "document.delete is in a log of" in said
    assert "EVENT_NOT_FOUND" in said
    await run(with_loop)
    assert "report.read u_1" in capsys.readouterr().out
    assert (await recorded("report.read"))[-1].outcome == DENIED


async def test_the_recorder_does_what_its_page_shows(run, recorded):
    (block,) = examples("recorder.md")[""]
    await run(block)
    events = await recorded("document.read")
    assert [event.targets[0].id for event in events] == [f"d_{n}" for n in range(100)]


async def test_who_acts_is_known_inside(run, recorded):
    await run(*HOOKS[""])
    (event,) = await recorded("report.send")
    assert (event.actor.id, event.actor.type) == ("nightly", "service")


async def test_fastapi(run, recorded):
    def use(module):
        with TestClient(module.app) as client:
            sent(client, headers={"x-user": "u_fast", "user-agent": "test"})

    await run(*HOOKS["FastAPI and Starlette"], use)
    events = [event for event in await recorded("http.post") if event.actor.id == "u_fast"]
    assert paths(events) == [
        ("u_fast", "/documents/d_1", SUCCESS),
        ("u_fast", "/nowhere", FAILURE),
    ]
    assert events[0].metadata["route"] == "/documents/{document_id}"
    assert (events[0].user_agent, events[0].source_address) == ("test", "testclient")


async def test_django(run, recorded):
    def use(module):
        sent(Client(headers={"user-agent": "django"}))

        async def with_loop():
            agent = {"user-agent": "django with a loop"}
            answer = await AsyncClient().post("/documents/d_2", headers=agent)
            assert answer.status_code == 200

        asyncio.run(with_loop())

    await run(*HOOKS["Django"], use)
    events = [event for event in await recorded("http.post") if "django" in event.user_agent]
    assert paths(events) == [
        ("anonymous", "/documents/d_1", SUCCESS),
        ("anonymous", "/nowhere", FAILURE),
        ("anonymous", "/documents/d_2", SUCCESS),
    ]
    assert events[0].metadata["route"] == "/documents/<str:document_id>"


async def test_flask(run, recorded):
    def use(module):
        sent(module.app.test_client(), headers={"x-user": "u_flask"})

    await run(*HOOKS["Flask"], use)
    events = [event for event in await recorded("http.post") if event.actor.id == "u_flask"]
    assert paths(events) == [
        ("u_flask", "/documents/d_1", SUCCESS),
        ("u_flask", "/nowhere", FAILURE),
    ]
    assert events[0].metadata["route"] == "/documents/<document_id>"


async def test_logging(run, recorded):
    await run(*HOOKS["Logging"])
    events = [event for event in await recorded("invoice.approve") if event.actor.id == "billing"]
    assert [event.metadata["message"] for event in events] == ["invoice i_1 approved"]


async def test_sqlalchemy(run, recorded):
    await run(*HOOKS["SQLAlchemy"])
    (inserted,) = await recorded("accounts.insert")
    assert (inserted.actor.id, inserted.targets[0].id) == ("u_1", "1")
    assert list(inserted.metadata["columns"]) == ["id", "email", "plan"]
    assert "ada@example.com" not in str(inserted)
    (updated,) = await recorded("accounts.update")
    assert list(updated.metadata["columns"]) == ["plan"]
    assert dict(updated.metadata["values"]["plan"]) == {"before": "free", "after": "team"}
    assert await recorded("accounts.delete") == []


async def test_functions(run, recorded):
    def use(module):
        with pytest.raises(PermissionError):
            module.approve("i_2", "u_2")

    await run(*HOOKS["Functions"], use)
    events = [e for e in await recorded("invoice.approve") if e.targets and e.actor.id != "billing"]
    assert paths(events) == [("u_1", "i_1", SUCCESS), ("u_2", "i_2", DENIED)]
    assert events[1].outcome_reason == "PermissionError"


async def test_the_fixture(environment, audit_events):
    (block,) = HOOKS["Tests of your program"]
    namespace = {}
    exec(compile(block, "example", "exec"), namespace)
    namespace["test_an_approval_is_recorded"](audit_events)
    with pytest.raises(TypeError):
        namespace["recorder"].record("a", "u_1", metadata={"x": object()})
