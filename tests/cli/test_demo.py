"""`smart-audit demo` against a running stack."""

import asyncio
import json
import re

import pytest

from smart_audit.cli.demo import gateway as demo_gateway
from tests.cli.conftest import RECORDS, written


async def test_the_demo_goes_through_all_its_steps(cli):
    result = await cli.run("demo", "--records", RECORDS, SMART_AUDIT_TOKEN=None, COLUMNS=None)
    assert (result.code, result.err) == (0, "")
    steps = re.findall(r"^(\d)\. ", result.out, re.MULTILINE)
    assert steps == [*"12345678"]
    for sentence in (
        "2900 read, 2900 recorded, 0 already there, 0 skipped",
        "auth.signup",
        "denied: AccessDenied",
        "to that root: verified",
    ):
        assert sentence in result.out
    # What the demo reads makes its log longer.
    assert re.search(
        r"the\s+log\s+of\s+\d+\s+entries\s+extends\s+that\s+of\s+\d+:\s+verified", result.out
    )
    shown, _, commands = result.out.partition("\nNext\n")
    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in result.out
    assert "make up" not in commands


@pytest.mark.soak
async def test_the_commands_it_names_work(cli, real_records, tmp_path):
    records = written(tmp_path / "some", real_records[:40] + _denied(real_records))
    result = await cli.run("demo", "--records", records)
    assert result.code == 0
    found = re.search(r"echo '(.*)' \| \S*smart-audit (login .*)", result.out)
    assert found is not None
    password, login = found.groups()
    done = await cli.run(*login.split(), stdin=f"{password}\n".encode())
    assert done.code == 0
    demo = {"SMART_AUDIT_PROFILE": "demo", "SMART_AUDIT_TOKEN": None}
    verified = await cli.run("log", "verify", **demo)
    assert verified.code == 0
    assert re.match(r"verified \d+ entries", verified.out)


async def test_a_record_that_cannot_be_imported_ends_the_demo(cli, real_records, tmp_path):
    result = await cli.run("demo", "--records", written(tmp_path / "bad", [{}]))
    assert result.code == 5
    assert "line 1: no eventSource" in result.err


async def test_without_a_gateway_at_the_named_address_it_says_so(cli):
    result = await cli.run(
        "demo", "--records", RECORDS, "--address", "127.0.0.1:1", SMART_AUDIT_TOKEN=None
    )
    assert result.code == 1
    assert "no gateway answers at 127.0.0.1:1" in result.err


async def test_without_records_it_says_where_they_are_expected(cli, tmp_path):
    result = await cli.run("demo", "--records", tmp_path / "missing")
    assert result.code == 2
    assert "missing is not there" in result.err


async def test_a_running_stack_is_found_by_its_state_file(gateway, tmp_path):
    (tmp_path / "state.json").write_text(json.dumps({"gateway_url": gateway.url}))
    assert await asyncio.to_thread(demo_gateway.find, tmp_path) == gateway.address
    assert await asyncio.to_thread(demo_gateway.answers, "127.0.0.1:1") is False


def _denied(records):
    return [one for one in records if "Unauthorized" in str(one.get("errorCode"))]
