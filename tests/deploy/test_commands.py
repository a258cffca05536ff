"""Every command and every example of the documents is run, as it is typed.

A page's shell blocks are one session, which is run here without further ado. What a test of its own
runs is named in `ELSEWHERE`. What cannot be run says why, in a comment above it:
`<!-- not run: REASON -->`.
"""

import importlib
import re
import shlex
import shutil
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path

import pytest
import typer
from google.protobuf import descriptor_pool, json_format, message_factory
from typer.main import get_command

from smart_audit.cli.main import build
from smart_audit.stack.gateway import descriptor_set
from tests.support.documents import PAGES, ROOT, blocks, name_of, shell
from tests.support.gateway import running_gateway
from tests.support.world import running_world

SHELL = ("sh", "bash", "console")
PROGRAMS = re.compile(
    r"^\s*(curl|smart-audit|python3?|make|docker|docker-compose|kubectl|helm|grpcurl|buf|psql"
    r"|[A-Z_]+=\S+ .*make) ",
    re.MULTILINE,
)
ELSEWHERE = {
    ("docs/cli.md", "console"): "tests/deploy/test_commands.py",
    ("docs/evidence.md", "python"): "tests/evidence/test_document.py",
    ("docs/tail.md", "js"): "tests/gateway/test_tail_in_a_browser.py",
    ("docs/sdk/hooks.md", "python"): "tests/sdk/test_documents.py",
    ("docs/sdk/python.md", "python"): "tests/sdk/test_documents.py",
    ("docs/sdk/recorder.md", "python"): "tests/sdk/test_documents.py",
    ("docs/backup.md", "sh"): "tests/audit/test_backup.py",
    ("clients/typescript/README.md", "ts"): "tests/typescript/test_client.py",
}
# What a page's session has to say.
SAID = {
    "README.md": [
        r"^verified: document\.delete is entry \d+ of \d+ in ",
        r"^extends  \d+ entries, by the check of ",
        r'"verifierKey"',
    ],
    "docs/tutorial.md": [
        r"^Proven: the log holds an event with these facts",
        r"^refused with exit code 6$",
        r"^extends  \d+ entries, by the check of ",
    ],
    "docs/erase-a-person.md": [r'"erased_fields": ?\[\s*"actor.name"', r"^verified \d+ entries of"],
    "docs/hand-over-evidence.md": [r"under a key that you trust"],
    "docs/machines.md": ['"active":true', '"disabled_at":"2'],
    "docs/organisations.md": ['"role":"auditor"', '"organisation_name":"Compilers"'],
    "docs/second-factors.md": ['"recovery_codes_left":9'],
}
# A key of logs that lasts is made: not beside other tests.
ALONE = {"docs/rotate-keys.md"}


def session(page):
    """What a page shows to be typed, as one script; empty if it is run elsewhere."""
    shown = [
        block.text
        for block in blocks(page)
        if block.language in SHELL
        and not block.reason
        and (name_of(page), block.language) not in ELSEWHERE
    ]
    return "\n".join(shown)


TYPED = [page for page in PAGES if session(page)]


def adapted(script, gateway):
    """The script with the addresses of this run; what never ends is given a moment."""
    world = gateway.world
    for before, after in {
        ". .venv/bin/activate\n": "",
        "localhost:8000": gateway.address,
        "localhost:50051": f"127.0.0.1:{world.auth_port}",
        "localhost:50052": f"127.0.0.1:{world.audit_port}",
    }.items():
        script = script.replace(before, after)
    today = datetime.now(UTC).date()
    period = f"--from {today} --to {today + timedelta(days=2)}"
    script = re.sub(r"--from \S+ --to \S+", period, script)
    endless = re.compile(r"^(\w+) -N ((?:.*\\\n)*.*)$", re.MULTILINE)
    script = endless.sub(r"\1 -N --max-time 1 \2 || [ $? = 28 ]", script)
    if not shutil.which("grpcurl"):
        script = re.sub(r"^grpcurl (.*\\\n)*.*\n", "", script, flags=re.MULTILINE)
    return script


async def prepared(folder, gateway):
    """A folder like that of a running system, and the environment of somebody who is logged in."""
    world = gateway.world
    user = await world.new_user()
    running = folder / ".smart-audit" / "run"
    running.mkdir(parents=True)
    (running / "descriptors.pb").write_bytes(descriptor_set())
    (folder / ".smart-audit" / "mail").symlink_to(world.mail_dir)
    (folder / "docs").symlink_to(ROOT / "docs")
    key = await gateway.http.get(f"/v1/logs/{user.organisation_id}/key")
    return user, {
        "SMART_AUDIT_ADDRESS": gateway.address,
        "TOKEN": user.access_token,
        "KEY": key.text.strip().splitlines()[-1],
        **{
            f"{service}_{kind}DATABASE_URL": url
            for service in ("AUTH", "AUDIT")
            for kind, url in (
                ("", world.database.service_url(service.lower())),
                ("MIGRATION_", world.database.owner_url),
            )
        },
    }


@pytest.mark.skipif(not shutil.which("curl"), reason="the commands need curl")
@pytest.mark.parametrize(
    "page", [page for page in TYPED if name_of(page) not in ALONE], ids=name_of
)
async def test_the_commands_work_as_typed(gateway, tmp_path, page):
    user, environment = await prepared(tmp_path, gateway)
    script = adapted(session(page), gateway)
    # Who is logged in where the page does not log in itself.
    if "/auth/signup" not in script:
        environment["SMART_AUDIT_TOKEN"] = user.access_token
        script = script.replace("ada@example.com", user.email)
    code, said = await shell(script, tmp_path, **environment)
    assert code == 0, said
    for words in SAID.get(name_of(page), []):
        assert re.search(words, said, re.MULTILINE), said


@pytest.mark.soak  # services of its own; tests/auth/test_key_rotation.py rotates in the usual run
async def test_keys_are_rotated_as_typed(cluster, tmp_path):
    async with running_world(cluster.new_database()) as world, running_gateway(world) as gateway:
        _, environment = await prepared(tmp_path, gateway)
        (page,) = (page for page in TYPED if name_of(page) in ALONE)
        code, said = await shell(adapted(session(page), gateway), tmp_path, **environment)
        assert code == 0, said
        assert world.database.execute("SELECT count(*) FROM audit.checkpoint_keys") == [(2,)]
        assert world.database.execute("SELECT count(*) FROM auth.signing_keys") == [(2,)]


def test_every_example_is_run():
    for page in PAGES:
        for block in blocks(page):
            assert block.language or not PROGRAMS.search(block.text), f"typed? {block.text}"
            if block.language in ("python", "ts", "js") and not block.reason:
                assert (name_of(page), block.language) in ELSEWHERE, (
                    f"{name_of(page)}: no test runs this, and no comment says why:\n{block.text}"
                )


@pytest.mark.parametrize(("place", "test"), ELSEWHERE.items(), ids=str)
def test_what_is_run_elsewhere_is_there(place, test):
    page, language = place
    assert any(block.language == language for block in blocks(ROOT / page))
    text = (ROOT / test).read_text()
    assert Path(page).name in text


def commands_of_the_reference():
    """The words of each, up to a pipe or the end of its quotation."""
    text = "\n".join(block.text for block in blocks(ROOT / "docs" / "cli.md"))
    for inside, line in re.findall(r"\$\((smart-audit [^)]*)\)|(smart-audit [^\n]*)", text):
        lexer = shlex.shlex(inside or line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        _, *words = lexer
        yield list(takewhile(lambda word: not set(word) <= set("|<>();&"), words))


def test_the_reference_shows_commands_that_there_are():
    """Their ids and files are made up, so that they are read and not run."""
    root = get_command(build())
    commands = list(commands_of_the_reference())
    assert len(commands) > 80
    for command in commands:
        words, found, context = command, root, typer.Context(root, info_name="smart-audit")
        while hasattr(found, "list_commands"):
            _, found, words = found.resolve_command(context, words)
            context = typer.Context(found, parent=context)
        found.make_context("x", words, parent=context)


def test_what_grpcurl_is_asked_for_is_there():
    """Where it cannot be run: methods, symbols and fields, against the descriptors."""
    importlib.import_module("smart_audit.api.auth.v1.auth_pb2")
    health = importlib.import_module("grpc_health.v1.health_pb2").DESCRIPTOR
    pool = descriptor_pool.Default()
    text = "".join(block.text for page in PAGES for block in blocks(page)).replace("\\\n", " ")
    commands = [shlex.split(line) for line in re.findall(r"^grpcurl .*$", text, re.MULTILINE)]
    assert len(commands) > 5
    for _, *words in commands:
        *_, last = words
        service, _, method = last.partition("/")
        if method and service.startswith("grpc.health"):
            assert method in health.services_by_name["Health"].methods_by_name
        elif method:
            found = pool.FindServiceByName(service).methods_by_name[method]
            request = message_factory.GetMessageClass(found.input_type)()
            if "-d" in words:
                json_format.Parse(words[words.index("-d") + 1], request)
        elif last != "list":
            assert pool.FindServiceByName(service)
