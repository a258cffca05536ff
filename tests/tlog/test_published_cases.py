"""The good and bad proofs which transparency-dev/merkle publishes: our verdict is theirs."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from smart_audit.tlog.proofs import ProofError, verify_consistency, verify_inclusion

DATA = Path(__file__).parent / "data"


def cases(name: str) -> dict[str, dict[str, Any]]:
    read: dict[str, dict[str, Any]] = json.loads((DATA / name).read_text(encoding="utf-8"))
    return read


def hashes(case: dict[str, Any]) -> list[bytes]:
    return [b64decode(value, validate=True) for value in case["proof"] or ()]


def holds(verify, *statement) -> bool:
    try:
        verify(*statement)
    except ProofError:
        return False
    return True


INCLUSION = cases("inclusion.json")
CONSISTENCY = cases("consistency.json")


@pytest.mark.parametrize("name", INCLUSION)
def test_an_inclusion_case_has_its_published_verdict(name):
    case = INCLUSION[name]
    leaf, root = (b64decode(case[part] or "") for part in ("leafHash", "root"))
    believed = holds(verify_inclusion, leaf, case["leafIdx"], case["treeSize"], hashes(case), root)
    assert believed is not case["wantErr"], case["desc"]


@pytest.mark.parametrize("name", CONSISTENCY)
def test_a_consistency_case_has_its_published_verdict(name):
    case = CONSISTENCY[name]
    roots = [b64decode(case[part] or "") for part in ("root1", "root2")]
    believed = holds(verify_consistency, case["size1"], case["size2"], hashes(case), *roots)
    assert believed is not case["wantErr"], case["desc"]


def test_the_cases_are_all_there_and_of_both_kinds():
    for published in (INCLUSION, CONSISTENCY):
        assert len(published) == 98
        assert sum(not case["wantErr"] for case in published.values()) == 6
