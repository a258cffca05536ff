"""`smart-audit verify file`: what a file proves under given keys, and nothing more."""

import base64
import json
import random
import re
from pathlib import Path

import httpx
import pytest

from smart_audit.cli.main import main
from smart_audit.client.proof_file import UnreadableError, check_file
from smart_audit.client.verification import VerificationError
from tests.support.events import event, record, settled
from tests.support.governance import erase
from tests.tlog.test_fuzz import damaged

VECTORS = {
    path.stem: json.loads(path.read_text())
    for path in sorted((Path(__file__).parents[1] / "vectors").glob("*.json"))
    if path.stem != "00-tree"
}
GOOD = [name for name, one in VECTORS.items() if one["expected"]["verified"]]
BAD = [name for name in VECTORS if name not in GOOD]
CASES = 2_000
SOAK_CASES = 100_000


def file_of(vector):
    """The vector as a file: a tlog-proof, or a JSON answer."""
    text = vector["file"] if "file" in vector else json.dumps(vector["answer"])
    return text.encode()


@pytest.mark.parametrize("name", GOOD)
def test_a_good_vector_proves_what_it_says(name):
    vector, expected = VECTORS[name], VECTORS[name]["expected"]
    proven = check_file(file_of(vector), vector["keys"])
    assert (proven.checkpoint.origin, proven.checkpoint.size, proven.log_index) == (
        expected["origin"], expected["tree_size"], expected["log_index"],
    )  # fmt: skip
    assert proven.leaf_hash.hex() == vector["leaf_hash"]
    assert proven.opened is not None
    facts = {name: value for name, value in expected["facts"].items() if not name.startswith("_")}
    assert (proven.opened.facts, proven.opened.withheld) == (facts, expected["withheld"])
    assert proven.opened.disclosed == expected["disclosed"]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_vector_is_refused(name):
    vector = VECTORS[name]
    with pytest.raises((UnreadableError, VerificationError)):
        check_file(file_of(vector), vector["keys"])


@pytest.mark.parametrize("name", ["01-minimal", "02-all-fields", "11-answer-of-disclose-event"])
def test_nothing_is_proven_by_another_key(name):
    (own,) = VECTORS[name]["keys"]
    others = {one["keys"][0] for one in VECTORS.values()} - {own}
    for other in others:
        with pytest.raises(VerificationError, match="not to be trusted"):
            check_file(file_of(VECTORS[name]), [other])


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"[]", b"1", b"{}", b"\xff", b"c2sp.org/tlog-proof@v2\n",
        b"c2sp.org/tlog-proof@", b'{"event": {"\\ud800": 1}}', b'{"event": {"id": "\\udfff"}}',
        b'{"receipt": 1}', b'{"receipt": {}}', b'{"proof": {}}', b'{"leaf": "AA=="}',
        b'{"event": {}, "event": {}}', b'{"unknown": 1}', b'{"event": {"log_index": "x"}}',
        b"[" * 100_000, b'{"event":' * 50_000, b'{"leaf": "AA==", "checkpoint": "x"}',
        b'{"event": {"metadata": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}}",
    ],
    ids=lambda data: data[:30].decode(errors="replace"),
)  # fmt: skip
def test_what_holds_no_proof_is_unreadable(data):
    with pytest.raises(UnreadableError):
        check_file(data, VECTORS["01-minimal"]["keys"])


def test_a_file_without_end_is_not_read(tmp_path):
    with pytest.raises(UnreadableError, match="more than"):
        check_file(b" " * (16 * 1024 * 1024 + 1), VECTORS["01-minimal"]["keys"])


def damaged_inside(file, chance):
    """A proof whose leaf, or one of its disclosures, is damaged below its encodings."""
    encoded = file.split(b"\n", 2)[1].removeprefix(b"extra ")
    parts = base64.b64decode(encoded).split(b"~")
    place = chance.randrange(len(parts) - 1)
    inner = base64.urlsafe_b64decode(parts[place] + b"=" * (-len(parts[place]) % 4))
    parts[place] = base64.urlsafe_b64encode(damaged(inner, chance)).rstrip(b"=")
    return file.replace(encoded, base64.b64encode(b"~".join(parts)))


def damage_many(cases, seed):
    """A damaged file is refused, or it still proves the same and nothing else."""
    chance = random.Random(seed)
    # The one near the limit of a leaf takes as long as twenty others.
    vectors = [VECTORS[name] for name in GOOD if len(file_of(VECTORS[name])) < 20_000]
    whole = [(file_of(one), one["keys"], check_file(file_of(one), one["keys"])) for one in vectors]
    passed = 0
    for number in range(cases):
        data, keys, proven = chance.choice(whole)
        inside = number % 2 and data.startswith(b"c2sp")
        changed = damaged_inside(data, chance) if inside else damaged(data, chance)
        try:
            again = check_file(changed, keys)
        except (UnreadableError, VerificationError):
            continue
        except Exception as error:
            raise AssertionError(f"{changed!r} raised {error!r}") from error
        passed += 1
        assert (again.log_index, again.leaf_hash) == (proven.log_index, proven.leaf_hash)
        assert again.checkpoint.checkpoint == proven.checkpoint.checkpoint
        assert again.opened is not None
        assert proven.opened is not None
        assert again.opened.facts == proven.opened.facts
        # A disclosure may be lost; the field is then withheld.
        assert again.opened.disclosed.items() <= proven.opened.disclosed.items()
    assert passed < cases / 4


def test_damaged_files_prove_nothing_else():
    damage_many(CASES, 20261125)


@pytest.mark.soak
def test_many_damaged_files_prove_nothing_else():
    damage_many(SOAK_CASES, 7)


@pytest.fixture(scope="module")
async def owner(world):
    """The user whose event is verified."""
    return await world.signed_up()


@pytest.fixture(scope="module")
async def answers(gateway, world, owner):
    """What the API gives of one event, and the log's key: by name."""
    user = owner
    await settled(world, user)
    http = httpx.AsyncClient(
        base_url=gateway.url, headers={"authorization": f"Bearer {user.access_token}"}
    )
    body = {
        "action": "document.delete",
        "actor": {"id": "u_1", "name": "Ada Lovelace", "email": "ada@a.test"},
        "outcome": "OUTCOME_SUCCESS",
        "metadata": {"why": "retention"},
    }
    async with http:
        recorded = await http.post("/v1/events", json=body)
        event_id = recorded.json()["receipt"]["event_id"]
        answers = {
            "receipt.json": recorded,
            "checkpoint": await http.get(f"/v1/logs/{user.organisation_id}/checkpoint"),
            "checkpoint.json": await http.get("/v1/log/checkpoint"),
            "key": await http.get(f"/v1/logs/{user.organisation_id}/key"),
            "event.json": await http.get(f"/v1/events/{event_id}?proof=true"),
            "unproven.json": await http.get(f"/v1/events/{event_id}"),
            "event.tlog-proof": await http.get(f"/v1/events/{event_id}/proof"),
            "disclosed.json": await http.post(
                f"/v1/events/{event_id}:disclose", json={"fields": ["actor.name"]}
            ),
        }
    for answer in answers.values():
        assert answer.status_code == 200, answer.text
    return {name: answer.content for name, answer in answers.items()}


@pytest.fixture
def fetched(answers, tmp_path):
    """A folder with all of it, of the test's own."""
    for name, content in answers.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def key_of(folder):
    return (folder / "key").read_text().strip()


@pytest.fixture
def run_here(monkeypatch, capsys):
    """Runs the command within this process, which is quicker: (exit code, stdout, stderr)."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["smart-audit", "verify", "file", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return (int(ended.value.code or 0), *capsys.readouterr())

    return run


async def offline(cli, *arguments, **given):
    """Run where no service can be reached, and without a token."""
    return await cli.run(
        "verify", "file", *arguments,
        SMART_AUDIT_TOKEN=None, SMART_AUDIT_ADDRESS="127.0.0.1:1", **given,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["event.json", "event.tlog-proof", "disclosed.json"])
async def test_one_event_is_verified_offline(cli, fetched, name):
    result = await offline(cli, fetched / name, "--key", key_of(fetched))
    assert (result.code, result.err) == (0, "")
    # Each of them was read after the one before it, which is an event as well.
    assert re.match(
        r"verified: document.delete is entry 2 of \d in localhost/smart-audit/", result.out
    )
    assert '"Ada Lovelace"  (disclosed)' in result.out
    assert ("ada@a.test" in result.out) is (name != "disclosed.json")
    assert ("Withheld: 2 fields" in result.out) is (name == "disclosed.json")


async def test_a_file_may_come_by_stdin(cli, fetched):
    data = (fetched / "event.tlog-proof").read_bytes()
    result = await offline(cli, "-", "--key", key_of(fetched), stdin=data)
    assert (result.code, result.err) == (0, "")


@pytest.mark.parametrize("checkpoint", ["checkpoint", "checkpoint.json"])
async def test_a_receipt_is_verified_with_its_checkpoint(cli, fetched, checkpoint):
    result = await offline(
        cli,
        fetched / "receipt.json",
        "--key",
        key_of(fetched),
        "--checkpoint",
        fetched / checkpoint,
    )
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("verified: the receipt's entry is entry 2 of 3 in ")
    assert "Not proven: which event it is" in result.out


@pytest.mark.parametrize(
    ("name", "options", "code", "sentence"),
    [
        ("receipt.json", [], 5, "a receipt holds no checkpoint"),
        ("event.json", ["--checkpoint", "checkpoint"], 5, "it has a checkpoint of its own"),
        ("unproven.json", [], 5, "ask for the event with proof=true"),
        ("checkpoint", [], 5, "it is neither a tlog-proof nor JSON"),
        ("checkpoint.json", [], 5, "it is no GetEventResponse"),
        ("missing", [], 5, "No such file or directory"),
        (".", [], 5, "Is a directory"),
        ("receipt.json", ["--checkpoint", "missing"], 5, "No such file or directory"),
        ("receipt.json", ["--checkpoint", "key"], 6, "not to be trusted"),
    ],
)
async def test_what_is_missing_is_named(run_here, fetched, name, options, code, sentence):
    options = [option if option.startswith("--") else fetched / option for option in options]
    ended, out, err = run_here(fetched / name, "--key", key_of(fetched), *options)
    assert (ended, out) == (code, "")
    assert sentence in err
    assert len(err.splitlines()) == 1


async def test_without_a_key_nothing_is_verified(run_here, fetched):
    assert run_here(fetched / "event.json")[:2] == (2, "")
    code, out, err = run_here(fetched / "event.json", "--key", "x")
    assert (code, out, err[:19]) == (2, "", "smart-audit: --key:")


async def test_a_receipt_of_an_earlier_tree_says_what_to_do(cli, fetched, gateway, world, owner):
    await record(world, owner, event())
    answer = await gateway.http.get(
        f"/v1/logs/{owner.organisation_id}/checkpoint",
        headers={"authorization": f"Bearer {owner.access_token}"},
    )
    (fetched / "later").write_bytes(answer.content)
    result = await offline(
        cli, fetched / "receipt.json", "--key", key_of(fetched), "--checkpoint", fetched / "later"
    )
    assert (result.code, result.out) == (6, "")
    assert "ask for the event with proof=true instead" in result.err


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("event.json", "document.delete", "document.Delete"),
        ("event.json", '"why"', '"who"'),
        ("event.json", "Ada Lovelace", "Eve Lovelace"),
        ("disclosed.json", "Ada Lovelace", "Eve Lovelace"),
        ("event.tlog-proof", "\nindex 2\n", "\nindex 1\n"),
        ("event.tlog-proof", "localhost/smart-audit/", "localhost/smart-audi7/"),
    ],
)
async def test_what_was_changed_ends_with_6(run_here, fetched, name, before, after):
    path = fetched / name
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    code, out, err = run_here(path, "--key", key_of(fetched))
    assert (code, out) == (6, "")
    assert err.startswith(f"smart-audit: verification failed: {path}: ")


async def test_what_was_erased_is_told_as_only_said(cli, gateway, world, user, tmp_path):
    await settled(world, user)
    receipt = await record(world, user, event())
    await erase(world, user, "u_1")
    headers = {"authorization": f"Bearer {user.access_token}"}
    answer = await gateway.http.get(f"/v1/events/{receipt.event_id}?proof=true", headers=headers)
    key = await gateway.http.get(f"/v1/logs/{user.organisation_id}/key")
    (tmp_path / "event.json").write_bytes(answer.content)
    result = await offline(cli, tmp_path / "event.json", "--key", key.text.strip())
    assert (result.code, result.err) == (0, "")
    assert "Only said by the service: that of these were erased " in result.out
    assert "Ada Lovelace" not in result.out
