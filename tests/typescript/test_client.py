"""The TypeScript client against the gateway that runs: its own tests, by Node's runner."""

import re

from smart_audit.stack.contract import descriptor_set
from tests.support.node import CLIENT
from tests.typescript.conftest import run

BLOCK = re.compile(r"^```ts\n(.*?)^```", re.MULTILINE | re.DOTALL)


async def test_its_own_tests_pass(gateway, built, tmp_path):
    descriptors = tmp_path / "descriptors.pb"
    descriptors.write_bytes(descriptor_set())
    said = await run(
        "node",
        "--test",
        "--test-force-exit",
        "--test-isolation=none",
        "test/*.test.ts",
        SMART_AUDIT_URL=gateway.url,
        SMART_AUDIT_DESCRIPTORS=str(descriptors),
    )
    assert "\nℹ fail 0\n" in said


async def test_the_readme_works_as_written(gateway, built):
    blocks = BLOCK.findall((CLIENT / "README.md").read_text())
    folder = CLIENT / "examples"
    folder.mkdir(exist_ok=True)
    program = folder / "readme.ts"
    program.write_text("\n".join(blocks).replace("http://localhost:8000", gateway.url))
    # Of the tests' own types as well.
    await run("tsc", "--project", "tsconfig.json")
    said = await run("node", str(program))
    for line in (
        r"logged in as ada\.",
        r"entry \d+ of the log",
        r"1 events, and more: false",
        r"u_1 document\.delete",
        r"goes on behind it: true",
        r"1 events; as a table \d+ lines",
        r"verified: document\.delete is entry \d+ of \d+",
        r"400 INVALID_ARGUMENT [0-9a-f-]{36}",
        r"event_id: ",
    ):
        assert re.search(line, said), said
