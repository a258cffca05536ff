"""What the documents say is so: links lead somewhere, the README's commands work as typed, and the
verifier beside them believes what the service gives out and nothing else."""

import asyncio
import json
import os
import re
import shutil
import sys
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smart_audit.stack.gateway import descriptor_set
from smart_audit.tlog.note import verifier_key
from tests.support.events import settled

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *(ROOT / "docs").rglob("*.md"),
]
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)#]+)(?:#[^)]*)?\)")


def names(document):
    return str(document.relative_to(ROOT))


async def shell(script, folder, **environment):
    """Run a script as typed: (exit code, what it said)."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-euo",
        "pipefail",
        "-c",
        script,
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode, output.decode()


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_links_lead_to_files(document):
    targets = LINK.findall(document.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (document.parent / target).exists()] == []


def test_the_log_format_shows_a_vector():
    vector = json.loads((ROOT / "tests" / "vectors" / "02-all-fields.json").read_text())
    text = (ROOT / "docs" / "log-format.md").read_text()
    unbroken = text.replace("\n    ", "")
    salt, disclosure = vector["salts"][0], vector["disclosures"][0]
    digest = urlsafe_b64encode(sha256(disclosure.encode()).digest()).rstrip(b"=").decode()
    assert vector["leaf"] in unbroken
    for shown in (vector["leaf_hash"], salt, disclosure, digest):
        assert f"  {shown}\n" in text


@pytest.mark.skipif(not shutil.which("curl"), reason="the README's commands need curl")
async def test_the_readme_works_as_typed(gateway, tmp_path):
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    descriptors = tmp_path / ".smart-audit" / "run" / "descriptors.pb"
    descriptors.parent.mkdir(parents=True)
    descriptors.write_bytes(descriptor_set())
    blocks = BLOCK.findall((ROOT / "README.md").read_text())
    wanted = ["field()", "smart-audit login", "buf curl"]
    if shutil.which("grpcurl"):
        wanted.append("grpcurl")
    script = "\n".join(block for block in blocks if any(word in block for word in wanted))
    if "grpcurl" not in wanted:
        script = re.sub(r"^grpcurl (.*\\\n)*.*\n", "", script, flags=re.MULTILINE)
    script = script.replace(". .venv/bin/activate\n", "")
    script = script.replace("localhost:8000", gateway.address)
    script = script.replace("localhost:50051", f"127.0.0.1:{gateway.world.auth_port}")
    script = script.replace("localhost:50052", f"127.0.0.1:{gateway.world.audit_port}")
    code, said = await shell(script, tmp_path, SMART_AUDIT_ADDRESS=gateway.address)
    assert code == 0, said
    assert re.search(r"^verified: document\.delete is entry \d+ of \d+ in ", said, re.MULTILINE)
    assert re.search(r"^extends  \d+ entries, by the check of ", said, re.MULTILINE)
    assert '"verifierKey"' in said


@pytest.mark.skipif(not shutil.which("curl"), reason="the commands need curl")
async def test_the_commands_for_second_factors_work_as_typed(gateway, tmp_path):
    (script,) = BLOCK.findall((ROOT / "docs" / "second-factors.md").read_text())
    script = script.replace(". .venv/bin/activate\n", "")
    script = script.replace("localhost:8000", gateway.address).replace("curl -sS", "curl -sSf")
    code, said = await shell(script, tmp_path)
    assert code == 0, said
    assert '"recovery_codes_left":9' in said
    assert (tmp_path / "qr.svg").read_text().startswith("<svg")


@pytest.mark.skipif(not shutil.which("curl"), reason="the commands need curl")
async def test_the_commands_for_machines_work_as_typed(gateway, tmp_path):
    (script,) = BLOCK.findall((ROOT / "docs" / "machines.md").read_text())
    script = script.replace(". .venv/bin/activate\n", "")
    script = script.replace("localhost:8000", gateway.address).replace("curl -sS", "curl -sSf")
    code, said = await shell(script, tmp_path, SMART_AUDIT_ADDRESS=gateway.address)
    assert code == 0, said
    assert '"active":true' in said
    assert '"disabled_at":"2' in said


@pytest.mark.skipif(not shutil.which("curl"), reason="the commands need curl")
async def test_the_commands_for_organisations_work_as_typed(gateway, tmp_path):
    (script,) = BLOCK.findall((ROOT / "docs" / "organisations.md").read_text())
    script = script.replace("localhost:8000", gateway.address).replace("curl -sS", "curl -sSf")
    script = script.replace(".smart-audit/mail", str(gateway.world.mail_dir))
    code, said = await shell(script, tmp_path)
    assert code == 0, said
    assert '"role":"auditor"' in said
    assert '"organisation_name":"Compilers"' in said


@pytest.fixture
async def claim(gateway, tmp_path):
    """One event as it can be had: (proof file, answer of GetEvent, key of the log)."""
    user = await gateway.world.new_user()
    await settled(gateway.world, user)
    headers = {"authorization": f"Bearer {user.access_token}"}
    event = {
        "action": "document.delete",
        "actor": {"id": "u_1", "name": "Zoë"},
        "targets": [{"id": "d_1", "type": "document", "name": "Plans"}],
        "outcome": "OUTCOME_SUCCESS",
        "metadata": {"why": "€ 5", "size": 1e21, "ratio": 0.1},
    }
    recorded = await gateway.http.post("/v1/events", json=event, headers=headers)
    path = f"/v1/events/{recorded.json()['receipt']['event_id']}"
    proof = await gateway.http.get(f"{path}/proof", headers=headers)
    answer = await gateway.http.get(f"{path}?proof=true", headers=headers)
    key = await gateway.http.get(f"/v1/logs/{user.organisation_id}/key")
    return proof.text, answer.text, key.text.strip()


async def verified(folder, text, key):
    """(exit code, what it said) of the verifier in a single file."""
    (folder / "file").write_text(text)
    return await shell(f"python3 {ROOT}/docs/verify_event.py file '{key}'", folder)


async def test_the_verifier_believes_what_the_service_gives_out(claim, tmp_path):
    proof, answer, key = claim
    for text in (proof, answer):
        code, said = await verified(tmp_path, text, key)
        assert code == 0, said
        assert re.fullmatch(r"verified: document\.delete is entry 2 of \d+ in .*\n", said)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("document.delete", "document.Delete"),
        ('"why"', '"who"'),
        ('"log_index":"2"', '"log_index":"1"'),
        ("localhost/smart-audit/", "localhost/smart-audi7/"),
        ("\\n\\n", "\\n \\n\\n"),
        ('"name":"Zoë"', '"name":"Eve"'),
    ],
)
async def test_the_verifier_refuses_what_was_changed(claim, tmp_path, before, after):
    _, answer, key = claim
    changed = answer.replace(before, after)
    assert changed != answer
    code, said = await verified(tmp_path, changed, key)
    assert (code, said[:14]) == (1, "NOT verified: ")


async def test_the_verifier_refuses_a_proof_under_another_key(claim, tmp_path):
    proof, _, key = claim
    name, _, _ = key.partition("+")
    stranger = Ed25519PrivateKey.generate().public_key()
    code, said = await verified(tmp_path, proof, verifier_key(name, stranger))
    assert (code, said) == (1, f"NOT verified: the checkpoint is not signed by {name}\n")
