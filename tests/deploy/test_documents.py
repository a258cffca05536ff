"""What the documents say is so: links lead somewhere, and the verifier beside them believes what
the service gives out and nothing else. Their commands are run by test_commands.py."""

import json
import re
from base64 import urlsafe_b64encode
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smart_audit.tlog.note import verifier_key
from tests.support.documents import PAGES, ROOT, name_of, shell
from tests.support.events import settled

DOCUMENTS = [ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *PAGES]
LINK = re.compile(r"\[[^\]]*\]\(([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_to_files(document):
    targets = LINK.findall(document.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (document.parent / target).exists()] == []


def test_the_index_has_every_page():
    docs = ROOT / "docs"
    listed = {
        (docs / target).resolve() for target in LINK.findall((docs / "README.md").read_text())
    }
    pages = {page for page in PAGES if page.parent != docs / "decisions"}
    assert pages - listed == {ROOT / "README.md", docs / "README.md"}


def test_the_log_format_shows_a_vector():
    vector = json.loads((ROOT / "tests" / "vectors" / "02-all-fields.json").read_text())
    text = (ROOT / "docs" / "log-format.md").read_text()
    unbroken = text.replace("\n    ", "")
    salt, disclosure = vector["salts"][0], vector["disclosures"][0]
    digest = urlsafe_b64encode(sha256(disclosure.encode()).digest()).rstrip(b"=").decode()
    assert vector["leaf"] in unbroken
    for shown in (vector["leaf_hash"], salt, disclosure, digest):
        assert f"  {shown}\n" in text


@pytest.fixture
async def claim(gateway, tmp_path):
    """One event as it can be had: (proof file, answer of GetEvent, key of the log)."""
    user = await gateway.world.signed_up()
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
