"""What the doctor makes of services and settings that are not as they should be."""

import asyncio
import json
import sys

import pytest

from smart_audit.stack.doctor import in_production, serving
from smart_audit.stack.problem import Problem
from smart_audit.stack.process import Program

GOOD = {"check": "keys.signing", "state": "ok", "found": "a key", "remedy": ""}


def test_lines_of_a_service_that_are_no_findings_are_told_as_such(tmp_path):
    lines = [
        "a library greets you",
        json.dumps(GOOD),
        "[1]",
        '{"check": "keys.signing"}',
        "7" * 999,
    ]
    command = [sys.executable, "-c", f"print({chr(10).join(lines)!r})"]
    program = Program("auth-check", command, {}, tmp_path / "log")
    first, good, *others = asyncio.run(serving.checked(program))
    assert good == GOOD
    assert first["found"] == "says what is no finding: a library greets you"
    assert {(one["check"], one["state"]) for one in (first, *others)} == {("auth-check", "failed")}
    assert all(len(one["found"]) < 300 for one in others)


@pytest.mark.parametrize("size", ["many", "-1", "1.5"])
def test_a_size_of_a_pool_that_is_no_number_is_named(size):
    with pytest.raises(Problem, match=r"AUDIT_DATABASE_POOL_SIZE is .*; set it to a whole number"):
        in_production.largest_pool({"AUDIT_DATABASE_POOL_SIZE": size})


def test_the_larger_pool_counts():
    assert in_production.largest_pool({}) == 10
    assert in_production.largest_pool({"AUTH_DATABASE_POOL_SIZE": "25"}) == 25
    assert (
        in_production.largest_pool(
            {"AUTH_DATABASE_POOL_SIZE": "2", "AUDIT_DATABASE_POOL_SIZE": "3"}
        )
        == 3
    )
