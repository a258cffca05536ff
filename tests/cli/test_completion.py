"""Shells complete commands, options, and what only the command knows."""

import pytest

from smart_audit.client.profiles import Profiles


@pytest.fixture
def completions(cli, tmp_path):
    """What bash is offered for a line; nothing is asked of any service."""
    known = Profiles(tmp_path / "config")
    known.set("work", "address", "localhost:8000")
    known.set("home", "address", "localhost:8001")

    async def complete(*words):
        line = ["smart-audit", *words]
        result = await cli.run(
            _SMART_AUDIT_COMPLETE="complete_bash",
            COMP_WORDS="\n".join(line),
            COMP_CWORD=str(len(line) - 1),
        )
        assert result.err == ""
        return result.out.split()

    return complete


async def test_commands_options_and_values_are_completed(completions):
    assert await completions("ev") == ["events"]
    assert {"up", "down"} <= set(await completions(""))
    assert "import" not in await completions("im")
    assert await completions("events", "ex") == ["export"]
    assert await completions("events", "list", "--oldest") == ["--oldest-first"]
    assert await completions("events", "export", "--format", "c") == ["csv", "cloudevents", "cef"]
    assert await completions("events", "list", "-o", "json") == ["json", "jsonl"]
    assert await completions("whoami", "--profile", "w") == ["work"]
    assert await completions("config", "use", "") == ["home", "work"]
