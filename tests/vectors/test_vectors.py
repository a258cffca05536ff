"""The vectors of the log format are those of the service's code, and two readers that share no code
agree on each of them: the product's own, and the verifier in a single file."""

import json
import random
import re
import runpy
import subprocess
import sys
from base64 import urlsafe_b64decode
from datetime import datetime
from uuid import UUID

import pytest
import rfc8785
from google.protobuf import json_format

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.audit.leaves import Leaf, to_leaves
from smart_audit.audit.messages.events import to_new_event
from smart_audit.client.proof_file import UnreadableError, check_file
from smart_audit.client.verification import VerificationError
from smart_audit.core.tokens import Caller
from smart_audit.tlog.checkpoint import Checkpoint
from smart_audit.tlog.compact import CompactRange
from smart_audit.tlog.hashing import leaf_hash
from smart_audit.tlog.note import Verifier, open_note
from smart_audit.tlog.proofs import verify_consistency, verify_inclusion
from tests.tlog import reference
from tests.vectors.build import Made, base64url, digest, log_key
from tests.vectors.generate import FOLDER, files
from tests.vectors.good import EVERYTHING

VERIFIER = FOLDER.parents[1] / "docs" / "verify_event.py"
VECTORS = {path.stem: json.loads(path.read_text()) for path in FOLDER.glob("*.json")}
TREE = VECTORS.pop("00-tree")
GOOD = sorted(name for name, one in VECTORS.items() if one["expected"]["verified"])
BAD = sorted(VECTORS.keys() - set(GOOD))


VERIFY_EVENT = runpy.run_path(str(VERIFIER))
REFUSALS = (VERIFY_EVENT["Refused"], *VERIFY_EVENT["UNREADABLE"])


def content(vector):
    """The vector as a file."""
    text = vector["file"] if "file" in vector else json.dumps(vector["answer"])
    return text.encode()


def product(data, keys):
    """What the product's reader finds; None when it refuses."""
    try:
        proven = check_file(data, keys)
    except (UnreadableError, VerificationError):
        return None
    opened, checkpoint = proven.opened, proven.checkpoint
    assert opened is not None
    place = f"entry {proven.log_index} of {checkpoint.size} in {checkpoint.origin}"
    return opened.facts, opened.disclosed, place


def stranger(data, keys):
    """What the verifier in a single file finds; None when it refuses."""
    try:
        facts, disclosed, said = VERIFY_EVENT["verify"](data, keys)
    except REFUSALS:
        return None
    return facts, disclosed, said.removeprefix(f"{facts['action']} is ")


def canonical(found):
    """To compare by: numbers are doubles, and 1 is not true."""
    return rfc8785.dumps(json.loads(json.dumps(found), parse_int=float))


def same(found, vector):
    """Whether a reader found what the vector expects."""
    expected = vector["expected"]
    place = f"entry {expected['log_index']} of {expected['tree_size']} in {expected['origin']}"
    wanted = expected["facts"], expected["disclosed"], place
    return canonical(found) == canonical(wanted)


def test_the_generator_writes_these_files():
    assert files() == {path.name: path.read_text() for path in FOLDER.glob("*.json")}


@pytest.mark.parametrize("name", GOOD)
def test_the_service_makes_this_leaf(name):
    vector = VECTORS[name]
    message = json_format.ParseDict(vector["event"], audit_pb2.Event())
    organisation_id = UUID(message.organisation_id)
    caller = Caller(vector["recorded_by"], organisation_id, None, frozenset())
    salts = []

    def new_salts(count):
        salts.extend(vector["salts"][:count])
        return vector["salts"][:count]

    recorded_at = datetime.fromisoformat(vector["recorded_at"])
    (made,) = to_leaves([to_new_event(message, caller)], recorded_at, new_salts)
    assert isinstance(made, Leaf)
    assert made.hash.hex() == vector["leaf_hash"]
    if "leaf" in vector:
        assert made.encoded.decode() == vector["leaf"]
    encoded = {one.decode() for parts in made.disclosures.values() for one in parts.encoded}
    assert salts == vector["salts"]
    assert encoded == set(vector.get("disclosures", encoded))


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("reader", [product, stranger])
def test_a_good_vector_is_what_it_says(reader, name):
    vector = VECTORS[name]
    assert same(reader(content(vector), vector["keys"]), vector)


@pytest.mark.parametrize("name", GOOD)
def test_what_is_withheld_is_counted(name):
    vector = VECTORS[name]
    opened = check_file(content(vector), vector["keys"]).opened
    assert opened is not None
    assert opened.withheld == vector["expected"]["withheld"]


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("reader", [product, stranger])
def test_a_bad_vector_is_refused(reader, name):
    vector = VECTORS[name]
    assert reader(content(vector), vector["keys"]) is None


def test_the_verifier_needs_nothing_but_python(tmp_path):
    for name, code, said in (
        (
            "02-all-fields",
            0,
            r"verified: document\.share is entry 2 of 7 in log\.example\.com/.*\n",
        ),
        ("93-path-changed", 1, r"NOT verified: the path does not lead to the signed root\n"),
        ("56-leaf-that-is-cut-off", 1, r"NOT verified: the file cannot be read: .*\n"),
    ):
        file = tmp_path / name
        file.write_bytes(content(VECTORS[name]))
        # Without the packages that are installed, and without the environment.
        command = [sys.executable, "-I", "-S", str(VERIFIER), str(file), *VECTORS[name]["keys"]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == code
        assert re.fullmatch(said, done.stdout + done.stderr)


def test_the_tree_is_that_of_rfc_6962():
    leaves = [entry.encode() for entry in TREE["entries"]]
    hashes = [leaf_hash(leaf) for leaf in leaves]
    roots = [bytes.fromhex(root) for root in TREE["roots"]]
    assert roots == [reference.mth(leaves[:size]) for size in range(len(leaves) + 1)]
    grown = CompactRange.empty()
    for size, root in enumerate(roots):
        assert grown.root() == root
        if size < len(leaves):
            grown = grown.append(hashes[size])
    path = [bytes.fromhex(one) for one in TREE["inclusion_of_2_in_7"]]
    verify_inclusion(hashes[2], 2, 7, path, roots[7])
    for size in (3, 4):
        proof = [bytes.fromhex(one) for one in TREE[f"consistency_of_{size}_and_7"]]
        verify_consistency(size, 7, proof, roots[size], roots[7])
    note = open_note(TREE["checkpoint"], [Verifier.parse(TREE["verifier_key"])])
    assert Checkpoint.parse(note.text).root == roots[7]


def mutants(data, chance, count):
    """The file with a few bytes changed, left out, put in, or a line doubled or moved."""
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(changed))
            match chance.randrange(5):
                case 0:
                    changed[place] ^= 1 << chance.randrange(8)
                case 1:
                    del changed[place : place + chance.randint(1, 4)]
                case 2:
                    changed[place:place] = chance.choice(
                        [b"=", b"~", b"0", b"\n", b"}", b" ", b"A"]
                    )
                case 3:
                    changed[place] = chance.choice(b'+/-_=~0189AZaz{}[],:"\\ ')
                case 4:
                    lines = bytes(changed).split(b"\n")
                    lines.insert(chance.randrange(len(lines)), chance.choice(lines))
                    changed = bytearray(b"\n".join(lines))
        yield bytes(changed)


def agree(name, seed, count):
    """Readers refuse what was changed, or find in it what was there before.

    On proof files they agree. The JSON of answers has several spellings, and may leave out what
    can be computed: one reader may take what the other refuses, but never for something else.
    """
    vector = VECTORS[name]
    whole = product(content(vector), vector["keys"])
    for data in mutants(content(vector), random.Random(f"{name}-{seed}"), count):
        both = product(data, vector["keys"]), stranger(data, vector["keys"])
        if "file" in vector:
            assert canonical(both[0]) == canonical(both[1]), data
        for facts, disclosed, place in filter(None, both):
            assert (canonical(facts), place) == (canonical(whole[0]), whole[2]), data
            assert disclosed.items() <= whole[1].items()


@pytest.mark.parametrize("name", GOOD)
def test_readers_agree_on_what_was_changed(name):
    agree(name, 1, 60)


@pytest.mark.soak
@pytest.mark.parametrize("name", GOOD)
def test_readers_agree_on_much_that_was_changed(name):
    agree(name, 2, 6_000)


def forgeries(one, chance, count):
    """Proofs that hold, by the log's own key, of leaves that nobody should write."""
    for _ in range(count):
        texts = one.disclosures
        if chance.random() < 0.6:
            place = chance.randrange(len(texts))
            raw = urlsafe_b64decode(texts[place] + "==")
            texts[place] = base64url(next(mutants(raw, chance, 1)))
        digests = sorted(map(digest, texts))
        leaf = rfc8785.dumps({**one.facts, "_sd": digests, "_sd_alg": "sha-256"})
        if chance.random() < 0.5:
            leaf = next(mutants(leaf, chance, 1))
        yield Made(one.facts, one.fields, one.index, one.origin, leaf).file(texts).encode()


def agree_on_forgeries(seed, count):
    for data in forgeries(EVERYTHING, random.Random(seed), count):
        found, other = product(data, [log_key()]), stranger(data, [log_key()])
        assert canonical(found) == canonical(other), data


def test_readers_agree_on_what_a_log_forged():
    agree_on_forgeries(1, 400)


@pytest.mark.soak
def test_readers_agree_on_much_that_a_log_forged():
    agree_on_forgeries(2, 20_000)
