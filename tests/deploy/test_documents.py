"""What the documents say is so: links lead somewhere, the README's commands work as typed, and the
vectors of the log format are those of the code and of a second implementation."""

import asyncio
import base64
import json
import os
import re
import shutil
import sys
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf import json_format

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.audit import messages
from smart_audit.audit.leaves import to_entry
from smart_audit.core.tokens import Caller
from smart_audit.stack.gateway import descriptor_set
from smart_audit.tlog.checkpoint import Checkpoint
from smart_audit.tlog.note import Signer, sign, verifier_key
from tests.tlog import reference

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *(ROOT / "docs").rglob("*.md"),
]
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)#]+)(?:#[^)]*)?\)")
VECTORS = json.loads((ROOT / "docs" / "log-format-vectors.json").read_text())


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


@pytest.mark.skipif(not shutil.which("curl"), reason="the README's commands need curl")
async def test_the_readme_works_as_typed(gateway, tmp_path):
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    descriptors = tmp_path / ".smart-audit" / "run" / "descriptors.pb"
    descriptors.parent.mkdir(parents=True)
    descriptors.write_bytes(descriptor_set())
    blocks = BLOCK.findall((ROOT / "README.md").read_text())
    wanted = ["field()", "smart-audit verify", "buf curl"]
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


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("event.json", "document.delete", "document.Delete"),
        ("event.json", '"why"', '"who"'),
        ("proof.json", '"log_index":"', '"log_index":"1'),
        ("checkpoint.json", "localhost/smart-audit/", "localhost/smart-audi7/"),
        ("checkpoint.json", "\\n\\n", "\\n \\n\\n"),
    ],
)
async def test_the_verifier_refuses_what_was_changed(gateway, tmp_path, name, before, after):
    data = {"email": f"{tmp_path.name}@example.com".lower(), "password": "correct horse battery"}
    person = data | {"first_name": "Ada", "last_name": "Lovelace"}
    await gateway.http.post("/auth/signup", json=person)
    token = (await gateway.http.post("/auth/login", json=data)).json()["access_token"]
    headers = {"authorization": f"Bearer {token}"}
    event = {
        "action": "document.delete",
        "actor": {"id": "u_1"},
        "outcome": "OUTCOME_SUCCESS",
        "metadata": {"why": "€ 5"},
    }
    recorded = await gateway.http.post("/v1/events", json=event, headers=headers)
    event_id = recorded.json()["receipt"]["event_id"]
    checkpoint = await gateway.http.get("/v1/log/checkpoint", headers=headers)
    size = checkpoint.json()["tree_size"]
    answers = {
        "checkpoint.json": checkpoint,
        "event.json": await gateway.http.get(f"/v1/events/{event_id}", headers=headers),
        "proof.json": await gateway.http.get(
            f"/v1/log/proofs/inclusion?event_id={event_id}&tree_size={size}", headers=headers
        ),
    }
    for file, answer in answers.items():
        (tmp_path / file).write_bytes(answer.content)
    verify = f"python3 {ROOT}/docs/verify_event.py event.json proof.json checkpoint.json"
    assert (await shell(verify, tmp_path))[0] == 0
    changed = answers[name].text.replace(before, after)
    assert changed != answers[name].text
    (tmp_path / name).write_text(changed)
    code, said = await shell(verify, tmp_path)
    assert (code, said[:14]) == (1, "NOT verified: ")


def test_the_vectors_of_a_leaf_are_those_of_the_code():
    event = json_format.ParseDict(VECTORS["event"], audit_pb2.Event())
    recorded_at = datetime.fromisoformat(VECTORS["recorded_at"])
    salts = iter(VECTORS["salts"])
    entry = to_entry(messages.to_new_event(event, _caller(event)), recorded_at, lambda: next(salts))
    assert entry.disclosures == VECTORS["disclosures"]
    assert entry.leaf.decode() == VECTORS["leaf"]
    assert entry.leaf_hash.hex() == VECTORS["leaf_hash"]
    digests = [
        base64.urlsafe_b64encode(sha256(one.encode()).digest()).rstrip(b"=").decode()
        for one in VECTORS["disclosures"]
    ]
    assert json.loads(VECTORS["leaf"])["_sd"] == sorted(digests)


def test_the_vectors_of_the_tree_are_those_of_rfc_6962():
    tree = VECTORS["tree"]
    entries = [entry.encode() for entry in tree["entries"]]
    entries[2] = VECTORS["leaf"].encode()
    roots = [reference.mth(entries[:size]).hex() for size in range(len(entries) + 1)]
    assert tree["roots"] == roots
    assert tree["inclusion_of_2_in_7"] == [one.hex() for one in reference.path(2, entries)]
    assert tree["consistency_of_3_and_7"] == [one.hex() for one in reference.proof(3, entries)]


def test_the_vectors_of_a_checkpoint_are_those_of_the_code():
    given = VECTORS["checkpoint"]
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(given["private_key"]))
    root = bytes.fromhex(VECTORS["tree"]["roots"][7])
    note = sign(Checkpoint(given["origin"], 7, root).text(), Signer(given["origin"], key))
    assert note.serialise() == given["note"]
    assert verifier_key(given["origin"], key.public_key()) == given["verifier_key"]


def _caller(event):
    return Caller("service:test", messages.UUID(event.organisation_id), None, frozenset())
