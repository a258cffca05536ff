"""Trust policies."""

from dataclasses import replace
from itertools import combinations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smart_audit.tlog.checkpoint import Checkpoint
from smart_audit.tlog.cosignature import Cosigner
from smart_audit.tlog.note import Signer, sign, verifier_key
from smart_audit.tlog.policy import Policy, PolicyError


def key(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def log_key(log: Signer) -> str:
    return verifier_key(log.name, log.private_key.public_key())


LOG = Signer("log.example/a", key(1))
OTHER_LOG = Signer("log.example/b", key(2))
NAMES = ("X1", "X2", "X3", "Y1", "Y2", "Y3")
WITNESSES = {
    name: Cosigner(f"witness.example/{name}", key(10 + place)) for place, name in enumerate(NAMES)
}
VKEYS = {name: witness.verifier.verifier_key for name, witness in WITNESSES.items()}
CHECKPOINT = Checkpoint(LOG.name, 5, bytes(32))

WITNESS_LINES = "".join(f"witness {name} {vkey}\n" for name, vkey in VKEYS.items())
# The specification's example, with keys.
EXAMPLE = f"""\
log {log_key(LOG)}

{WITNESS_LINES}group X-witnesses 2 X1 X2 X3
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def cosigned(*names: str, log: Signer = LOG, checkpoint: Checkpoint = CHECKPOINT) -> str:
    note = sign(checkpoint.text(), log)
    lines = [WITNESSES[name].cosign(checkpoint, 7) for name in names]
    return replace(note, signatures=(*note.signatures, *lines)).serialise()


def test_the_specifications_example_asks_for_two_x_and_one_y():
    policy = Policy.parse(EXAMPLE)
    for count in range(7):
        for names in combinations(NAMES, count):
            enough = sum(name[0] == "X" for name in names) >= 2 and "Y" in "".join(names)
            lines = [WITNESSES[name].cosign(CHECKPOINT, 7) for name in names]
            assert policy.satisfied(lines) is enough, names
    assert policy.open(cosigned("X1", "X3", "Y2"))[0] == CHECKPOINT
    with pytest.raises(PolicyError, match="do not reach the quorum X-and-Y"):
        policy.open(cosigned("X1", "Y1", "Y2"))


def test_a_policy_shows_its_parts():
    policy = Policy.parse(
        f"log {log_key(LOG)} https://log.example/a\n"
        f"witness one {VKEYS['X1']} https://witness.example/\nwitness two {VKEYS['X2']}\n"
        "group both all one two\nquorum both\n"
    )
    assert [(log.verifier, log.url) for log in policy.logs] == [
        (LOG.verifier, "https://log.example/a")
    ]
    assert [(w.name, w.verifier, w.url) for w in policy.witnesses] == [
        ("one", WITNESSES["X1"].verifier, "https://witness.example/"),
        ("two", WITNESSES["X2"].verifier, None),
    ]
    assert [(g.name, g.threshold, g.members) for g in policy.groups] == [
        ("both", 2, ("one", "two"))
    ]
    assert policy.quorum == "both"


def test_a_witness_given_twice_counts_once():
    policy = Policy.parse(EXAMPLE)
    lines = [WITNESSES[name].cosign(CHECKPOINT, at) for name, at in (("X1", 7), ("X1", 8))]
    assert not policy.satisfied([*lines, WITNESSES["Y1"].cosign(CHECKPOINT, 7)])


def test_a_policy_without_quorum_takes_any_checkpoint_of_its_logs():
    policy = Policy.parse(f"log {log_key(LOG)}\nquorum none\n")
    assert policy.satisfied([])
    checkpoint, note = policy.open(cosigned())
    assert (checkpoint, len(note.verified)) == (CHECKPOINT, 1)
    other = replace(CHECKPOINT, origin=OTHER_LOG.name)
    with pytest.raises(PolicyError, match="no signature of a known key"):
        policy.open(cosigned(log=OTHER_LOG, checkpoint=other))


def test_a_quorum_may_be_one_witness():
    policy = Policy.parse(f"log {log_key(LOG)}\nwitness W {VKEYS['X1']}\nquorum W\n")
    policy.open(cosigned("X1"))
    with pytest.raises(PolicyError, match="quorum W"):
        policy.open(cosigned("X2"))


def test_witnesses_alone_do_not_vouch_for_an_unknown_log():
    policy = Policy.parse(f"witness W {VKEYS['X1']}\nquorum W\n")
    with pytest.raises(PolicyError, match="no known log"):
        policy.open(cosigned("X1"))


def test_one_known_log_does_not_vouch_for_another():
    policy = Policy.parse(f"log {log_key(LOG)}\nlog {log_key(OTHER_LOG)}\nquorum none\n")
    with pytest.raises(PolicyError, match="no known log signed"):
        policy.open(cosigned(log=OTHER_LOG))


def test_a_bad_cosignature_of_a_known_witness_is_refused():
    policy = Policy.parse(EXAMPLE)
    wrong = cosigned("X1", "X2", "Y1").replace(
        WITNESSES["Y1"].cosign(CHECKPOINT, 7).line(),
        WITNESSES["Y1"].cosign(replace(CHECKPOINT, size=6), 7).line(),
    )
    with pytest.raises(PolicyError, match="Y1 is not valid"):
        policy.open(wrong)
    for note in ("", b"\xff", sign("no checkpoint\n", LOG).serialise()):
        with pytest.raises(PolicyError):
            policy.open(note)


def test_space_and_comments_are_free():
    loose = (
        "# comment\n\t # comment\n \t\n"
        f"\tlog \t {log_key(LOG)} \n  witness\tW\t{VKEYS['X1']}\n\tquorum\t W \t"
    )
    tight = f"log {log_key(LOG)}\nwitness W {VKEYS['X1']}\nquorum W\n"
    assert Policy.parse(loose) == Policy.parse(tight) == Policy.parse(tight.encode())


def test_names_are_opaque_bytes():
    kelvin, latin = "\N{KELVIN SIGN}".encode(), b"K"
    lines = b"witness %b %b\nwitness %b %b\nwitness \xff %b\ngroup all 2 %b %b \xff\nquorum all\n"
    vkeys = [VKEYS[name].encode() for name in ("X1", "X2", "X3")]
    policy = Policy.parse(lines % (kelvin, vkeys[0], latin, vkeys[1], vkeys[2], kelvin, latin))
    assert len({witness.name for witness in policy.witnesses}) == 3
    assert policy.groups[0].threshold == 2
    # A no-break space is part of a name, not a separator.
    spaced = Policy.parse(f"witness a\u00a0b {VKEYS['X1']}\nquorum a\u00a0b\n")
    assert spaced.quorum == "a\u00a0b"


W1, W2 = (f"witness W{number} {VKEYS[f'X{number}']}\n" for number in (1, 2))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no quorum"),
        (W1, "no quorum"),
        (f"{W1}quorum W1\nquorum W1\n", "line 3: a second quorum"),
        ("quorum W1\n", "not the name"),
        (f"quorum W1\n{W1}", "not the name"),
        ("quorum\n", "not a line"),
        (f"{W1}quorum W1 W1\n", "not a line"),
        ("unknown\nquorum none\n", "line 1: 'unknown' is not a line"),
        ("Quorum none\n", "not a line"),
        (f"{W1}{W1}quorum none\n", "the name W1 is given a second time"),
        (f"{W1}witness W2 {VKEYS['X1']}\nquorum none\n", "the key of W2"),
        (f"witness none {VKEYS['X1']}\nquorum none\n", "the name none"),
        (f"log {log_key(LOG)}\nlog {log_key(LOG)}\nquorum none\n", "the key of log.example/a"),
        (
            f"log {log_key(LOG)}\nlog {log_key(Signer('z', LOG.private_key))}\nquorum none\n",
            "the key of z",
        ),
        (f"log {VKEYS['X1']}\nquorum none\n", "not of type 0x01"),
        (f"witness W {log_key(LOG)}\nquorum none\n", "not of type 0x04"),
        ("log\nquorum none\n", "not a line"),
        (f"log {log_key(LOG)} url more\nquorum none\n", "not a line"),
        ("witness W\nquorum none\n", "not a line"),
        (f"witness W {VKEYS['X1']} url more\nquorum none\n", "not a line"),
        ("group G any\nquorum none\n", "not a line"),
        (f"{W1}group G any W2\nquorum G\n", "W2 is not the name"),
        (f"{W1}group G any G\nquorum G\n", "G is not the name"),
        (f"{W1}group G any none\nquorum G\n", "none is not the name"),
        (f"{W1}group G any W1 W1\nquorum G\n", "the member W1"),
        (f"{W1}group G any W1\ngroup H any W1\nquorum H\n", "the member W1"),
        (f"{W1}group W1 any W1\nquorum W1\n", "the name W1"),
        (f"{W1}group none any W1\nquorum none\n", "the name none"),
        *(
            (f"{W1}{W2}group G {k} W1 W2\nquorum G\n", "a number from 1 to 2")
            for k in ("0", "3", "-1", "+1", "01", "1.0", "some", "١", "9" * 5000)
        ),
        ("quorum none\r\n", "control"),
        ("quorum\x0bnone\n", "control"),
        ("quorum none\x00", "control"),
        ("quorum none \x7f\n", "control"),
        ("\ud800", "lone surrogate"),
        ("#" * 1_000_001, "more than 1000000"),
    ],
)
def test_what_is_not_a_policy_is_refused(text, message):
    with pytest.raises(PolicyError, match=message):
        Policy.parse(text)


def test_a_long_chain_of_groups_is_no_trouble():
    chain = "".join(f"group G{number + 1} any G{number}\n" for number in range(5_000))
    policy = Policy.parse(f"{W1}group G0 any W1\n{chain}quorum G5000\n")
    assert policy.satisfied([WITNESSES["X1"].cosign(CHECKPOINT, 7)])
    assert not policy.satisfied([])
