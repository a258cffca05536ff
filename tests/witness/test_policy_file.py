"""A policy of witnesses that cannot be used stops the service at its start, in one sentence."""

import asyncio

import pytest

from smart_audit.tlog.cosignature import CosignatureVerifier
from tests.support import forks
from tests.support.processes import plain_environment

VKEY = CosignatureVerifier("witness.example/w", bytes(32)).verifier_key
GOOD = f"witness w {VKEY} https://witness.example/"


async def serve(policy):
    """(exit code, what was said) of a service with this policy file, and no database to reach."""
    process = await forks.start(
        "smart_audit.audit",
        "serve",
        env={
            **plain_environment(),
            "AUDIT_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
            "AUDIT_WITNESS_POLICY_FILE": str(policy),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, said.decode()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"{GOOD}\nwitness x\nquorum w\n", "line 2: 'witness x' is not a line of a policy"),
        (f"{GOOD}\n", "no quorum line"),
        (f"witness w {VKEY}\nquorum w\n", "witness w has no URL: write it behind the key"),
        (f"witness w {VKEY} ftp://witness.example/\nquorum w\n", "is not a URL such as"),
        (f"witness w {VKEY} https://\nquorum w\n", "is not a URL such as"),
        (f"witness w {VKEY} https://w.example/?x=1\nquorum w\n", "is not a URL such as"),
        (f"witness w {VKEY} https://a:b@w.example/\nquorum w\n", "is not a URL such as"),
        (f"witness w {VKEY} https://w.example:99999/\nquorum w\n", "is not a URL such as"),
        (f"witness w {VKEY} https://[::1/\nquorum w\n", "is not a URL such as"),
    ],
)
async def test_a_policy_that_cannot_be_used_is_refused(tmp_path, text, sentence):
    policy = tmp_path / "policy"
    policy.write_text(text)
    code, said = await serve(policy)
    assert code == 1
    assert said.startswith(f"AUDIT_WITNESS_POLICY_FILE: {policy}: ")
    assert sentence in said
    assert said.count("\n") == 1


async def test_a_policy_that_cannot_be_read_is_refused(tmp_path):
    code, said = await serve(tmp_path / "none")
    assert code == 1
    assert f"{tmp_path / 'none'} cannot be read: No such file" in said


async def test_a_policy_that_can_be_used_leads_on_to_the_database(tmp_path):
    policy = tmp_path / "policy"
    policy.write_text(f"{GOOD}\nquorum w\n")
    code, said = await serve(policy)
    assert code == 1
    assert "cannot reach its database" in said
