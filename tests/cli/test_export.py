"""`smart-audit export evidence`, from the services to a verdict."""

import asyncio
import json
import zipfile
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from smart_audit.api.audit.v1 import audit_pb2
from tests.cli.conftest import Cli
from tests.evidence.making import Log
from tests.support.browser import running_chromium
from tests.support.events import event, record_batch, settled
from tests.support.gateway import running_gateway
from tests.support.governance import (
    Clock,
    another_time,
    erase,
    own_events,
    running_at,
    until,
    update_settings,
)

DAY = timedelta(days=1)
ALWAYS = ("--from", "2000-01-01", "--to", "2100-01-01")


@pytest.fixture
async def user(world):
    """Whose log begins with a signup and a login."""
    return await world.signed_up()


@pytest.fixture
async def logged(world, user):
    """40 events of four people behind the user's own two; gives their receipts."""
    await settled(world, user)
    return await recorded(world, user, [message(number) for number in range(40)])


async def recorded(world, user, messages):
    results = await record_batch(world, user, messages)
    return [result.receipt for result in results]


def message(number):
    return event(
        actor=audit_pb2.Actor(id=f"u_{number % 4}", name=f"Name {number % 4}"),
        action="document.read" if number % 2 else "document.share",
        targets=[audit_pb2.Target(id=f"d_{number % 5}", name=f"Plan {number}")],
        outcome=number % 3 + 1,
    )


@pytest.fixture
def export(cli, tmp_path):
    """Exports to a file, which is given; the command has to succeed."""

    async def exported(*arguments, period=ALWAYS):
        path = tmp_path / "bundle.zip"
        result = await cli.run("export", "evidence", *period, *arguments, "--out", path)
        assert (result.code, result.err) == (0, "")
        return path

    return exported


async def published_key(gateway, user):
    """The log's key, where its operator publishes it."""
    answer = await gateway.http.get(f"/v1/logs/{user.organisation_id}/key")
    return answer.text.splitlines()[0]


def events_of(path):
    with zipfile.ZipFile(path) as archive:
        return [json.loads(line) for line in archive.read("events.jsonl").splitlines()]


def manifest_of(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("manifest.json"))


async def test_a_bundle_is_verified_under_the_published_key(cli, export, gateway, user, logged):
    path = await export("--disclose", "actor.name,targets.*.name")
    key = await published_key(gateway, user)
    result = await cli.run("verify", "evidence", path, "--key", key, SMART_AUDIT_ADDRESS="no:1")
    assert (result.code, result.err) == (0, "")
    verdict = result.out.splitlines()[-1]
    # To list them is an event as well.
    assert verdict.startswith("verified 42 events among entries 0 to 41 of 43 in ")
    assert verdict.endswith("under a key that you trust")
    shown = events_of(path)[2]["event"]
    assert shown["actor"] == {"id": "u_0", "type": "user", "name": "Name 0"}
    assert shown["targets"][0]["name"] == "Plan 0"
    assert not shown.keys() & {"metadata", "source_address", "user_agent"}
    assert events_of(path)[2]["withheld"] == 3


async def test_another_key_and_a_changed_byte_fail(cli, export, gateway, user, logged, world):
    path = await export()
    other = await published_key(gateway, await world.signed_up())
    result = await cli.run("verify", "evidence", path, "--key", other)
    assert result.code == 6
    assert "FAILED  the checkpoint is signed" in result.err
    key = await published_key(gateway, user)
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    result = await cli.run("verify", "evidence", path, "--key", key)
    assert (result.code, result.out) == (6, "")
    assert "verification failed" in result.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("filters", "matches"),
    [
        (["--actor", "u_3", "--target", "d_2"], lambda n: n % 20 == 7),
        (["--action", "document.share", "--outcome", "denied"], lambda n: n % 6 == 2),
    ],
)
async def test_filters_choose_events_and_leave_hashes_between(
    cli, export, gateway, user, logged, filters, matches
):
    path = await export(*filters)
    indexes = [n + 2 for n in range(40) if matches(n)]
    assert [one["log_index"] for one in events_of(path)] == indexes
    manifest = manifest_of(path)
    assert (manifest["begin"], manifest["end"]) == (indexes[0], indexes[-1] + 1)
    assert manifest["withheld"]["leaves"]["count"] == indexes[-1] - indexes[0] + 1 - len(indexes)
    key = await published_key(gateway, user)
    assert (await cli.run("verify", "evidence", path, "--key", key)).code == 0


async def test_a_period_is_of_the_time_when_events_occurred(cli, export, world, user, logged):
    past = event()
    past.occurred_at.FromDatetime(datetime(2024, 5, 5, 12, tzinfo=UTC))
    (receipt,) = await recorded(world, user, [past])
    path = await export(period=("--from", "2024-05-05", "--to", "2024-05-06"))
    (shown,) = events_of(path)
    assert shown["log_index"] == receipt.proof.log_index
    assert shown["event"]["occurred_at"] == "2024-05-05T12:00:00.000000Z"
    result = await cli.run("verify", "evidence", path)
    assert result.code == 0
    assert "the key is the bundle's own" in result.out


async def test_an_erased_persons_fields_are_unavailable(cli, export, gateway, world, user, logged):
    await erase(world, user, "u_1")
    path = await export("--actor", "u_1")
    for shown in events_of(path):
        assert shown["event"]["actor"] == {"id": "u_1", "type": "user"}
        assert (shown["withheld"], shown["unavailable"]) == (0, 5)
    key = await published_key(gateway, user)
    result = await cli.run("verify", "evidence", path, "--key", key)
    assert result.code == 0
    with zipfile.ZipFile(path) as archive:
        summary = archive.read("summary.txt").decode()
    assert "Fields withheld   0 by choice, 50 unavailable" in summary
    assert b"Name 1" not in path.read_bytes()


async def test_a_browser_comes_to_the_same_verdict(export, gateway, world, user, logged, tmp_path):
    await erase(world, user, "u_1")
    path = await export("--disclose", "actor,metadata", "--outcome", "success")
    key = await published_key(gateway, user)
    verdict, shown = await asyncio.to_thread(verdict_in_a_browser, path, key)
    assert verdict == "verified"
    assert shown == len(events_of(path))


def verdict_in_a_browser(path, key):
    """The verdict of the bundle's own page over the bundle's zip, and how many events it shows."""
    page_file = path.with_name("verify.html")
    with zipfile.ZipFile(path) as archive:
        page_file.write_bytes(archive.read("verify.html"))
    with running_chromium() as browser:
        page = browser.new_context(offline=True).new_page()
        page.goto(page_file.as_uri())
        page.set_input_files("#file", path)
        page.wait_for_selector(f"#source:text-is('{path.name}')")
        page.wait_for_selector("html[data-verdict=own]")
        page.fill("#key", key)
        page.wait_for_selector("#trust-state.good")
        verdict = page.locator("html").get_attribute("data-verdict")
        return verdict, page.locator("#event-rows tr.event").count()


async def test_no_hit_writes_nothing(cli, logged, tmp_path):
    path = tmp_path / "bundle.zip"
    result = await cli.run("export", "evidence", *ALWAYS, "--actor", "nobody", "--out", path)
    assert result.code == 3
    assert result.err == "smart-audit: no event matches: nothing is written\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--from", "2026-02-01", "--to", "2026-02-01"], "--from is not before --to"),
        ([*ALWAYS, "--witness", "w+1+A"], "--witness: "),
        ([*ALWAYS, "--out", "no/such/folder/b.zip"], "--out: no/such/folder is not a directory"),
    ],
)
async def test_what_is_written_wrongly_is_told_at_once(cli, tmp_path, arguments, complaint):
    out = [] if "--out" in arguments else ["--out", tmp_path / "bundle.zip"]
    result = await cli.run("export", "evidence", *arguments, *out)
    assert result.code == 2
    assert complaint in result.err


async def test_without_a_demanded_cosignature_nothing_is_written(cli, logged, tmp_path):
    (key, _) = Log(0).keys.witnesses
    path = tmp_path / "bundle.zip"
    result = await cli.run("export", "evidence", *ALWAYS, "--witness", key, "--out", path)
    assert result.code == 1
    assert "try again in a while" in result.err
    assert not path.exists()


@asynccontextmanager
async def aged_gateway(cluster, clock):
    """A gateway before services whose clock is the test's, and retention never rests."""
    often = timedelta(milliseconds=50)
    async with (
        running_at(clock, cluster.new_database(), retention_every=often) as world,
        running_gateway(world) as gateway,
    ):
        yield world, gateway


@pytest.mark.soak
async def test_entries_that_retention_has_emptied_are_hashes(cluster, tmp_path):
    clock = Clock()
    async with aged_gateway(cluster, clock) as (world, gateway):
        user = await world.signed_up()
        cli = Cli({"SMART_AUDIT_ADDRESS": gateway.address, "SMART_AUDIT_TOKEN": user.access_token})
        await settled(world, user)
        first = await recorded(world, user, [event(action="a.kept")])
        async with another_time(clock, world, datetime.now(UTC) - 100 * DAY):
            old = await recorded(world, user, [event() for _ in range(300)])
        last = await recorded(world, user, [event(action="a.kept")])
        await update_settings(world, user, retention_days=90)
        await until(lambda: own_events(world, user, "log.retention.run"))
        path = tmp_path / "bundle.zip"
        result = await cli.run("export", "evidence", *ALWAYS, "--action", "a.kept", "--out", path)
        assert (result.code, result.err) == (0, "")
        manifest = manifest_of(path)
        indexes = [first[0].proof.log_index, last[0].proof.log_index]
        assert [one["log_index"] for one in events_of(path)] == indexes
        assert manifest["withheld"]["leaves"]["count"] == len(old) == 300
        key = await published_key(gateway, user)
        assert (await cli.run("verify", "evidence", path, "--key", key)).code == 0


@pytest.mark.soak
async def test_a_range_over_three_levels_of_tiles(cli, export, gateway, world, user):
    await settled(world, user)
    await recorded(world, user, [event(action="a.kept")])
    for _ in range(70):
        await recorded(world, user, [event() for _ in range(1000)])
    await recorded(world, user, [event(action="a.kept"), event()])
    path = await export("--action", "a.kept")
    assert manifest_of(path)["withheld"]["leaves"]["count"] == 70_000
    key = await published_key(gateway, user)
    assert (await cli.run("verify", "evidence", path, "--key", key)).code == 0
    verdict = await asyncio.to_thread(verdict_in_a_browser, path, key)
    assert verdict == ("verified", 2)
