"""`smart-audit events` and `log`: recording, finding, taking out; and the forms of the output."""

import csv
import io
import json
from uuid import uuid4

import pytest

from tests.support.events import settled

SENT = ("events", "send", "door.open", "--actor", "u_1", "--target", "door:d_1")


@pytest.fixture
async def sent(cli, world, user):
    """An event that was sent by the command line: its receipt."""
    result = await cli.run(
        *SENT, "--outcome", "denied", "--reason", "no badge", "-m", "floor=3",
        "-m", "note=a=b", "--actor-name", "Zoë\x1b[2J", "-o", "json",
    )  # fmt: skip
    assert (result.code, result.err) == (0, "")
    await settled(world, user)
    return json.loads(result.out)


async def test_an_event_is_sent_and_shown(cli, sent):
    for named in (sent["event_id"], sent["proof"]["log_index"]):
        shown = json.loads((await cli.run("events", "get", named, "-o", "json")).out)
        assert shown["id"] == sent["event_id"]
    assert shown["targets"] == [{"type": "door", "id": "d_1", "name": "", "data_subject": False}]
    assert shown["metadata"] == {"floor": 3.0, "note": "a=b"}
    assert (shown["outcome"], shown["outcome_reason"]) == ("OUTCOME_DENIED", "no badge")
    table = (await cli.run("events", "get", sent["event_id"])).out
    # What others have written moves no cursor.
    assert "actor name" in table
    assert "Zoë\\u001b[2J" in table
    assert "\x1b" not in table


async def test_json_on_stdin_is_an_event_and_sent_twice_stays_one(cli):
    event = {"id": str(uuid4()), "action": "door.close", "actor": {"id": "u_2"}}
    receipts = [
        json.loads(
            (
                await cli.run(
                    "events", "send", "-", "-o", "json",
                    stdin=json.dumps({**event, "occurred_at": "2026-01-31T12:00:00Z"}).encode(),
                )
            ).out
        )
        for _ in range(2)
    ]  # fmt: skip
    assert receipts[0] == receipts[1]
    assert receipts[0]["event_id"] == event["id"]
    broken = await cli.run("events", "send", "-", stdin=b'{"action": 7}')
    assert broken.code == 5


async def test_the_forms_of_a_list(cli, sent):
    listed = ("events", "list", "-f", "action=door.open")
    table = (await cli.run(*listed)).out.splitlines()
    assert table[0].split() == ["#", "TIME", "ACTION", "ACTOR", "OUTCOME", "TARGETS", "ID"]
    assert table[1].endswith(sent["event_id"])
    rows = json.loads((await cli.run(*listed, "-o", "json")).out)
    (line,) = (await cli.run(*listed, "-o", "jsonl")).out.splitlines()
    assert [json.loads(line)] == rows
    (row,) = csv.DictReader(io.StringIO((await cli.run(*listed, "-o", "csv")).out))
    assert (row["id"], row["actor.id"], row["log_index"]) == (
        sent["event_id"], "u_1", sent["proof"]["log_index"],
    )  # fmt: skip
    nothing = ("events", "list", "-f", "action=door.lock", "-o")
    assert [(await cli.run(*nothing, form)).out for form in ("json", "jsonl")] == ["[]\n", ""]


async def test_a_list_ends_where_it_is_told(cli, sent):
    assert len((await cli.run("events", "list", "-n", "1", "-o", "jsonl")).out.splitlines()) == 1
    every = (await cli.run("events", "list", "-n", "0", "-o", "jsonl")).out.splitlines()
    assert len(every) >= 3
    early = await cli.run("events", "list", "--to", "2020-01-01", "-o", "jsonl")
    assert (early.code, early.out) == (0, "")


async def test_words_find_events_and_say_how_they_were_understood(cli, sent):
    found = await cli.run("events", "search", "doors", "opened", "today", "-o", "jsonl")
    assert json.loads(found.out.splitlines()[0])["event"]["id"] == sent["event_id"]
    assert "'today' is understood as occurred_at" in found.err
    kinds = (await cli.run("events", "search", "--kinds", "doors", "opened")).out.splitlines()
    assert kinds[0].split()[:2] == ["KIND", "EVENTS"]


async def test_events_are_counted(cli, sent):
    counted = await cli.run("events", "count", "--by", "outcome", "-o", "json")
    assert {"DENIED": "1"}.items() <= {
        one["value"]: one["count"] for one in json.loads(counted.out)
    }.items()
    hours = await cli.run("events", "count", "--every", "hour", "-f", "actor.id=u_1", "-o", "jsonl")
    assert sum(int(json.loads(line)["count"]) for line in hours.out.splitlines()) == 1


async def test_an_export_is_a_whole_file(cli, sent, tmp_path):
    out = tmp_path / "events.csv"
    made = await cli.run("events", "export", "--format", "csv", "--out", out)
    assert (made.code, made.out) == (0, "")
    assert out.stat().st_mode & 0o777 == 0o600
    assert sent["event_id"] in out.read_text()
    piped = await cli.run("events", "export", "-f", "action=door.open")
    first, last = map(json.loads, piped.out.splitlines())
    assert (first["id"], last["end"]["complete"]) == (sent["event_id"], True)


async def test_a_proof_of_the_log_is_verified_offline(cli, sent, tmp_path):
    checkpoint = json.loads((await cli.run("log", "checkpoint", "-o", "json")).out)
    note = (await cli.run("log", "checkpoint", "--note")).out
    assert note.startswith(checkpoint["origin"])
    path = tmp_path / "event.tlog-proof"
    assert (await cli.run("log", "proof", sent["event_id"], "--out", path)).code == 0
    verify = ("verify", "file", path, "--key")
    assert (await cli.run(*verify, checkpoint["verifier_key"])).code == 0
    index = int(sent["proof"]["log_index"])
    path.write_text(path.read_text().replace(f"index {index}\n", f"index {index - 1}\n"))
    assert (await cli.run(*verify, checkpoint["verifier_key"])).code == 6
    assert (await cli.run("log", "verify")).code == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["events", "get", str(uuid4())], 3),
        (["events", "get", "99999"], 3),
        (["events", "get", "no-id"], 2),
        (["events", "list", "-f", "colour=red"], 5),
        (["events", "list", "--from", "yesterday"], 2),
        (["events", "list", "--address", "nowhere"], 2),
        (["events", "list", "--profile", "nobody"], 2),
        (["events", "send", "door.open"], 2),
        (["events", "tail", "-o", "json"], 2),
        (["users", "list"], 4),
        (["log", "verify", "--log", str(uuid4())], 4),
    ],
)
async def test_exit_codes_tell_failures_apart(cli, arguments, code):
    result = await cli.run(*arguments)
    assert (result.code, result.out) == (code, "")
    assert result.err.strip()
