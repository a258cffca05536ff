"""The witness at the wire: each status of C2SP tlog-witness, and what a cosignature says."""

import asyncio
import time
from base64 import b64encode
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smart_audit.tlog.add_checkpoint import MAX_REQUEST_SIZE, AddCheckpoint, open_cosigned
from smart_audit.tlog.checkpoint import Checkpoint
from smart_audit.tlog.cosignature import Cosigner, cosigned_at
from smart_audit.tlog.note import Signer, open_note, sign
from tests.support.witnesses import Log
from tests.witness.conftest import KEY, new_log


async def post(http, witness, body):
    """(status, content type, body) of the answer."""
    async with http.post(f"{witness.url}/add-checkpoint", data=body) as answer:
        return answer.status, answer.content_type, await answer.read()


async def status(http, witness, body):
    return (await post(http, witness, body))[0]


async def cosigned(http, witness, body):
    """The cosignature that the witness gives for a request, verified."""
    code, content_type, reply = await post(http, witness, body)
    assert (code, content_type) == (200, "text/plain"), reply
    text = AddCheckpoint.parse(body).checkpoint.text()
    (signature,) = open_cosigned(reply, text, [await witness.verifier()])
    return signature


async def test_a_log_is_cosigned_as_it_grows(http, witness, log):
    before = int(time.time())
    for old, size in ((0, 0), (0, 1), (1, 2), (2, 300), (300, 300), (300, 1000)):
        signature = await cosigned(http, witness, log.request(old, size))
        assert before <= cosigned_at(signature.signature) <= time.time()


async def test_the_old_size_must_be_that_of_the_last_cosigned_state(http, witness, log):
    stale = (409, "text/x.tlog.size")
    assert await post(http, witness, log.request(3, 7)) == (*stale, b"0\n")
    await cosigned(http, witness, log.request(0, 7))
    for old in (0, 6, 8):
        assert await post(http, witness, log.request(old, 9)) == (*stale, b"7\n")
    # A conflict tells of the size, and not that an older state would not do either.
    assert await post(http, witness, log.request(5, 5)) == (*stale, b"7\n")


async def test_another_history_is_never_cosigned(http, witness, log):
    await cosigned(http, witness, log.request(0, 7))
    assert await status(http, witness, log.request(7, 9, fork=3)) == 422
    assert await status(http, witness, log.request(7, 7, fork=3)) == 422
    await cosigned(http, witness, log.request(7, 9, fork=7))
    assert any("refused" in line and log.name in line for line in witness.said)


async def test_a_proof_that_does_not_prove_is_refused(http, witness, log):
    extra = (bytes(32),)
    right = AddCheckpoint.parse(log.request(0, 7))
    assert await status(http, witness, AddCheckpoint(0, extra, right.note).body()) == 422
    await cosigned(http, witness, right.body())
    grown = AddCheckpoint.parse(log.request(7, 9))
    for path in ((), grown.path[:-1], (*grown.path, *extra), (*extra, *grown.path[1:])):
        assert await status(http, witness, AddCheckpoint(7, path, grown.note).body()) == 422
    assert await status(http, witness, AddCheckpoint(7, extra, right.note).body()) == 422
    await cosigned(http, witness, grown.body())


async def test_the_empty_tree_has_one_root(http, witness, log):
    note = sign(Checkpoint(log.name, 0, bytes(32)).text(), log.signer).serialise()
    assert await status(http, witness, AddCheckpoint(0, (), note).body()) == 422
    await cosigned(http, witness, log.request(0, 0))


async def test_an_old_size_beyond_the_checkpoint_is_a_bad_request(http, witness, log):
    assert await status(http, witness, log.request(8, 7)) == 400


@pytest.mark.parametrize(
    "name",
    [
        "log.example/unknown",
        "audit.example/one",
        "audit.example/one/not-a-uuid",
        "audit.example/two/9b2bdd52-7f0a-4a57-b7a1-6a2f54ab2a9d",
        "audit.example/one/9B2BDD52-7F0A-4A57-B7A1-6A2F54AB2A9D",
        "audit.example/one/9b2bdd527f0a4a57b7a16a2f54ab2a9d",
        "audit.example/one/x/9b2bdd52-7f0a-4a57-b7a1-6a2f54ab2a9d",
    ],
)
async def test_an_unknown_log_is_not_found(http, witness, name):
    assert await status(http, witness, Log(name, KEY).request(0, 7)) == 404


async def test_only_the_logs_own_key_under_its_own_name_counts(http, witness, log):
    text = log.checkpoint(7).text()
    stranger = Signer(log.name, Ed25519PrivateKey.generate())
    sibling = new_log().signer
    for signer in (stranger, sibling):
        note = sign(text, signer).serialise()
        assert await status(http, witness, AddCheckpoint(0, (), note).body()) == 403
    # A line that names the known key and is wrong spoils the good one beside it.
    good = sign(text, log.signer).serialise()
    bad = log.signer.sign(log.checkpoint(8).text()).line()
    assert await status(http, witness, AddCheckpoint(0, (), good + bad).body()) == 403
    # Unknown keys are ignored.
    both = sign(text, stranger, log.signer, sibling).serialise()
    await cosigned(http, witness, AddCheckpoint(0, (), both).body())


async def test_what_is_malformed_is_a_bad_request(http, witness, log):
    right = log.request(0, 7)
    line = b64encode(bytes(32)) + b"\n"
    for body in (
        b"",
        b"old 0\n",
        right.replace(b"old 0", b"old 00"),
        right.replace(b"old 0", b"old -1"),
        right.replace(b"old 0", b"old 18446744073709551616"),
        right.replace(b"old 0\n", b"old 0\n" + b"AAAA\n"),
        right.replace(b"old 0\n", b"old 0\n" + 64 * line),
        right.replace(b"\n7\n", b"\n07\n"),
        right.replace(b"\n", b"\r\n"),
        right[:-1],
        b"\xff" + right,
    ):
        assert await status(http, witness, body) == 400, body


async def test_a_request_beyond_the_limit_is_refused_unread(http, witness):
    assert await status(http, witness, bytes(MAX_REQUEST_SIZE + 1)) == 413


async def test_other_methods_and_paths_are_refused(http, witness):
    async with http.get(f"{witness.url}/add-checkpoint") as answer:
        assert answer.status == 405
    async with http.post(f"{witness.url}/sign-subtree", data=b"") as answer:
        assert answer.status == 404


async def test_monitors_read_the_state_that_was_cosigned_last(http, witness, log):
    url = f"{witness.url}/{sha256(log.name.encode()).hexdigest()}/checkpoint"
    async with http.get(url) as answer:
        assert answer.status == 404
    await cosigned(http, witness, log.request(0, 3))
    last = await cosigned(http, witness, log.request(3, 7))
    async with http.get(url) as answer:
        assert answer.status == 200
        note = open_note(await answer.read(), [log.signer.verifier, await witness.verifier()])
    assert Checkpoint.parse(note.text) == log.checkpoint(7)
    assert last in note.verified
    assert len(note.verified) == len(note.signatures) == 2


async def test_the_front_page_names_the_witness(http, witness):
    async with http.get(witness.url) as answer:
        assert witness.name in (text := await answer.text())
        assert await witness.vkey() in text


async def test_of_two_conflicting_checkpoints_at_once_one_wins(http, witness):
    for _ in range(20):
        log = new_log()
        bodies = [log.request(0, 5, fork=fork) for fork in (None, 0, 1, 2)]
        answers = await asyncio.gather(*(post(http, witness, body) for body in bodies))
        assert sorted(answer[0] for answer in answers) == [200, 409, 409, 409]
        assert {answer[2] for answer in answers if answer[0] == 409} == {b"5\n"}


async def test_a_cosignature_is_made_for_this_log_alone(http, witness, log):
    signature = await cosigned(http, witness, log.request(0, 7))
    verifier = await witness.verifier()
    assert verifier.verifies(log.checkpoint(7).text(), signature.signature)
    assert not verifier.verifies(new_log().checkpoint(7).text(), signature.signature)
    assert not Cosigner(witness.name, KEY).verifier.verifies(
        log.checkpoint(7).text(), signature.signature
    )
