"""Exports through a real Envoy over HTTP/1.1: read slowly, cut off, gone on with."""

import asyncio
import hashlib
import json
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlencode

import pytest

from tests.gateway.test_json import error_of
from tests.support.events import event, record_batch, settled

# More than all buffers on the way hold together, so that back-pressure reaches the database.
EVENTS, TEXT = 80, "x" * 240_000


def bearer(user):
    return {"authorization": f"Bearer {user.access_token}"}


@pytest.fixture(scope="module")
async def user(gateway):
    user = await gateway.world.signed_up()
    await settled(gateway.world, user)
    for _ in range(EVENTS // 10):
        sent = [event(metadata={"text": TEXT}) for _ in range(10)]
        await record_batch(gateway.world, user, sent)
    return user


class Answer:
    """An answer in chunks, of which a client reads as much as it likes."""

    def __init__(self, reader):
        self._reader = reader

    async def head(self):
        """(status, headers)."""
        status, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = dict(line.split(": ", 1) for line in lines if line)
        return int(status.split()[1]), headers

    async def chunks(self):
        """What each chunk of the body holds; it ends where the body says that it does."""
        while size := int(await self._reader.readline(), 16):
            yield await self._reader.readexactly(size)
            await self._reader.readexactly(2)


@asynccontextmanager
async def opened(gateway, user, path, **query):
    """A GET over HTTP/1.1 whose answer waits to be read."""
    host, port = gateway.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=64 * 1024)
    try:
        target = f"{path}?{urlencode(query)}" if query else path
        head = (f"GET {target} HTTP/1.1", f"host: {host}", "connection: close")
        writer.write("\r\n".join([*head, _bearer_line(user), "", ""]).encode())
        yield Answer(reader)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def _bearer_line(user):
    return f"authorization: Bearer {user.access_token}"


def end_of(data):
    """What the last line tells, after a look at its digest."""
    lines = data.splitlines(keepends=True)
    end = json.loads(lines[-1])["end"]
    assert end["sha256"] == hashlib.sha256(b"".join(lines[:-1])).hexdigest()
    return end


async def read_slowly(answer, rests=10):
    """Read to the end, with pauses in which all buffers fill up."""
    data, seen = bytearray(), 0
    async for chunk in answer.chunks():
        data += chunk
        if len(data) > seen and rests:
            seen, rests = len(data) + 2**20, rests - 1
            await asyncio.sleep(0.1)
    return bytes(data)


async def test_a_slow_reader_gets_all_to_the_last_byte(gateway, user):
    async with opened(gateway, user, "/v1/events:export") as answer:
        status, headers = await answer.head()
        data = await read_slowly(answer)
    assert (status, headers["content-type"]) == (200, "application/x-ndjson")
    assert headers["content-disposition"] == 'attachment; filename="events.jsonl"'
    assert headers["cache-control"] == "no-store"
    end = end_of(data)
    assert end["complete"]
    # What was exported before, by another test, is an event as well.
    assert int(end["events"]) >= EVENTS + 2
    indexes = [int(json.loads(line)["log_index"]) for line in data.splitlines()[:-1]]
    assert indexes == list(range(int(end["events"])))


async def test_what_was_cut_off_goes_on_behind_the_last_whole_line(gateway, user):
    data = bytearray()
    async with opened(gateway, user, "/v1/events:export") as answer:
        _, headers = await answer.head()
        async for chunk in answer.chunks():
            data += chunk
            if len(data) > 8_000_000:
                break
    kept = data[: data.rindex(b"\n") + 1]
    after = json.loads(kept.splitlines()[-1])["id"]
    query = {"cursor": headers["export-cursor"], "after": after}
    async with opened(gateway, user, "/v1/events:export", **query) as rest:
        assert (await rest.head())[0] == 200
        more = await read_slowly(rest, rests=0)
    assert end_of(more)["complete"]
    lines = [*kept.splitlines(), *more.splitlines()[:-1]]
    assert len(lines) >= EVENTS + 2
    assert [int(json.loads(line)["log_index"]) for line in lines] == list(range(len(lines)))


async def test_a_job_is_ordered_followed_and_fetched_in_json(gateway, user):
    operation = (await gateway.http.post("/v1/exports", json={}, headers=bearer(user))).json()
    path = f"/v1/{operation['name']}"
    async with asyncio.timeout(60):
        while not operation["done"]:
            assert operation["metadata"]["@type"].endswith("v1.ExportProgress")
            operation = (await gateway.http.get(path, headers=bearer(user))).json()
            await asyncio.sleep(0.05)
    file = operation["response"]
    assert file["@type"].endswith("v1.ExportFile")
    async with opened(gateway, user, file["download"]) as answer:
        status, headers = await answer.head()
        data = await read_slowly(answer)
    named = f'attachment; filename="{file["file_name"]}"'
    assert (status, headers["content-disposition"]) == (200, named)
    assert (len(data), hashlib.sha256(data).hexdigest()) == (int(file["size"]), file["sha256"])
    assert end_of(data)["events"] == operation["metadata"]["events_done"] == file["events"]
    offset = len(data) // 2
    async with opened(gateway, user, file["download"], offset=offset) as answer:
        await answer.head()
        assert await read_slowly(answer, rests=0) == data[offset:]


async def test_operations_are_listed_cancelled_and_deleted_in_json(gateway):
    user = await gateway.world.signed_up()
    operation = (await gateway.http.post("/v1/exports", json={}, headers=bearer(user))).json()
    path = f"/v1/{operation['name']}"
    listed = (await gateway.http.get("/v1/operations", headers=bearer(user))).json()
    assert [one["name"] for one in listed["operations"]] == [operation["name"]]
    cancelled = await gateway.http.post(f"{path}:cancel", json={}, headers=bearer(user))
    assert (cancelled.status_code, cancelled.json()) == (200, {})
    deleted = await gateway.http.delete(path, headers=bearer(user))
    assert (deleted.status_code, deleted.json()) == (200, {})
    file = f"/v1/exports/{path.rsplit('/', 1)[1]}/file"
    status, _, reason, _ = error_of(await gateway.http.get(file, headers=bearer(user)))
    assert (status, reason) == (404, "EXPORT_NOT_FOUND")


async def test_an_export_takes_its_parameters_in_the_body_too(gateway):
    user = await gateway.world.signed_up()
    await settled(gateway.world, user)
    answer = await gateway.http.post(
        "/v1/events:export", json={"format": "EXPORT_FORMAT_CSV"}, headers=bearer(user)
    )
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text.count("\r\n") == 1 + 2 + 1
    refused = await gateway.http.get("/v1/events:export?cursor=x", headers=bearer(user))
    status, _, reason, _ = error_of(refused)
    assert (status, reason) == (400, "EXPORT_CURSOR_INVALID")
