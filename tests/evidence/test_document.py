"""The verifier in docs/evidence.md, which is a second one and none of ours."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .forgeries import FORGERIES
from .making import Log, zipped

DOCS = Path(__file__).parents[2] / "docs"
PLACES = ("checkpoint.txt", "range-proof.json", "leaves.jsonl", "events.jsonl")
# What steps 2, 5 and 6 find: in the keys that are given by the bundle alone, in filters, in what is
# called withheld.
LEFT = {
    "a leaf line has a member more",
    "a withheld digest is called unavailable",
    "a withheld digest is not the leaf's",
    "a witness is another",
    "a witness is made up",
    "an event hides what is withheld",
    "the manifest chooses other fields",
    "the manifest is of another organisation",
    "the manifest names a filter that lets none through",
    "the manifest withholds no fields",
}
FOUND = [
    name
    for name, forgery in FORGERIES.items()
    if forgery.place.startswith(PLACES) and name not in LEFT
]


@pytest.fixture(scope="module")
def verify(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verifier")
    shutil.copy(DOCS / "verify_event.py", folder)
    (script,) = re.findall(
        r"^```python\n(.*?)^```", (DOCS / "evidence.md").read_text(), re.MULTILINE | re.DOTALL
    )
    (folder / "verify_evidence.py").write_text(script)

    def run(*arguments):
        command = [sys.executable, folder / "verify_evidence.py", *arguments]
        return subprocess.run(command, check=False, capture_output=True, text=True)

    return run


@pytest.mark.parametrize(
    ("size", "begin", "end"), [(1, 0, 1), (9, 0, 9), (50, 7, 41), (100, 64, 65), (77, 33, 70)]
)
def test_a_good_bundle_is_verified(verify, tmp_path, size, begin, end):
    log = Log(size)
    bundle = log.bundle(tmp_path / "bundle.zip", begin, end, *sorted({begin, end - 1}))
    result = verify(bundle, log.key)
    assert result.stderr == ""
    assert result.stdout.startswith("verified: ")


@pytest.mark.parametrize("name", FOUND)
def test_a_forgery_is_found(verify, tmp_path, contents, log, name):
    bundle = zipped(tmp_path / "forged.zip", FORGERIES[name].forge(contents))
    result = verify(bundle, log.key, *log.keys.witnesses)
    assert (result.returncode, result.stdout) == (1, "")
