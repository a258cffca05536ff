"""Vectors that verify."""

from typing import Any

from tests.vectors.build import (
    COSIGNED_AT,
    ORIGIN,
    WITNESS,
    Made,
    log_key,
    made,
    salt,
)

Vector = dict[str, Any]
MAX_LEAF = 65_535
OUTCOME = "OUTCOME_"

# Edge cases of RFC 8785, section 3.2.2.3 and appendix B, and those of a Struct's doubles.
NUMBERS = {
    "zero": 0.0,
    "minus zero": -0.0,
    "one": 1.0,
    "minus one": -1.0,
    "half": 0.5,
    "largest exact integer": 9007199254740991.0,
    "first beyond": 9007199254740992.0,
    "next beyond": 9007199254740994.0,
    "most places": 999999999999999900000.0,
    "first with exponent": 1e21,
    "least zeros": 0.000001,
    "first small exponent": 1e-7,
    "smallest": 5e-324,
    "smallest normal": 2.2250738585072014e-308,
    "largest": 1.7976931348623157e308,
    "round to even": 1e23,
    "just below": 9.999999999999997e22,
    "thirds": 333333333.33333325,
    "sum": 0.1 + 0.2,
    "places": 295147905179352830000.0,
    "digits": 1424953923781206.2,
}

EVERYTHING = made(
    {
        "actor.name": "Zo\u00eb \u00c5ngstr\u00f6m",
        "actor.email": "zoe@example.com",
        "targets.0.name": "Plans",
        "source_address": "192.0.2.7",
        "user_agent": "Editor/1.0",
        "metadata": {"size": 17, "ratio": 0.5, "tags": ["a", "b"], "nothing": None, "yes": True},
    },
    outcome="denied",
    outcome_reason="POLICY",
    source="editor",
    targets=[{"id": "d_9", "type": "document"}, {"id": "u_18"}],
)


def good() -> dict[str, Vector]:
    """By name."""
    minimal = made()
    several = made(
        {f"targets.{place}.name": f"name {place}" for place in (0, 2, 10)},
        targets=[{"id": f"t_{place}", "type": "document"} for place in range(11)],
    )
    beyond = made(
        {
            "actor.name": "\U0001f600 \ue000 \uffff",
            "targets.0.name": '"\\/\b\f\n\r\t\u0000\u001f\u007f\u0080\u2028',
            # By code points U+E000 stands before U+1F600; by UTF-16 units behind it.
            "metadata": {
                "\ue000": 1,
                "\U0001f600": {"\U00010000": "\U0010ffff", "\uffff": 2},
                "": 3,
            },
        },
        actor={"id": "u_\U0001f600", "type": "user"},
        targets=[{"id": "d_\u20ac"}],
    )
    numbers = made({"metadata": NUMBERS | {"list": [*NUMBERS.values()], "truth": [True, 1, "1"]}})
    return {
        "01-minimal": vector("Only what each event has.", minimal),
        "02-all-fields": vector("All public facts and all kinds of disclosures.", EVERYTHING),
        "03-several-targets": vector(
            "Eleven targets, three with names: targets.10.name is the eleventh's.", several
        ),
        "04-beyond-the-basic-plane": vector(
            "Characters above U+FFFF in ids, values and keys: members are sorted by UTF-16 units, "
            "not by code points; and what JSON escapes.",
            beyond,
        ),
        "05-numbers": vector("Doubles as ECMAScript writes them (RFC 8785, 3.2.2.3).", numbers),
        "06-nothing-disclosed": vector(
            "All disclosures withheld: the public facts and their proof alone.", EVERYTHING, []
        ),
        "07-some-withheld": vector(
            "Two of six disclosures, in another order than they were made.",
            EVERYTHING,
            [EVERYTHING.disclosures[place] for place in (5, 0)],
        ),
        "08-erased": _erased(),
        "09-near-the-limit": vector(
            "A leaf of 65,535 bytes, the most there can be.", largest(), whole=False
        ),
        "10-answer-of-get-event": _get_event(),
        "11-answer-of-disclose-event": _disclose_event(),
        "12-two-log-keys": vector(
            "While keys rotate the log signs with both, the newest first. The old key suffices.",
            EVERYTHING,
            note=EVERYTHING.note(2, 1),
        ),
        "13-both-log-keys": vector(
            "The same, by a verifier who wants both signatures.",
            EVERYTHING,
            note=EVERYTHING.note(2, 1),
            keys=[log_key(1), log_key(2)],
        ),
        "14-cosigned": vector(
            f"A witness has cosigned the checkpoint (type 0x04), at {COSIGNED_AT}.",
            EVERYTHING,
            note=EVERYTHING.note(cosigned=True),
            keys=[log_key(), WITNESS.verifier.verifier_key],
        ),
        "15-unknown-signatures": vector(
            "Signatures by keys that the verifier does not know are let be.",
            EVERYTHING,
            note=EVERYTHING.note(3, 1, cosigned=True),
        ),
        "16-first-entry": vector("Entry 0, whose path is all siblings on the right.", _moved(0)),
        "17-last-entry": vector("Entry 6 of 7, at the ragged edge of the tree.", _moved(6)),
    }


def vector(
    comment: str,
    one: Made,
    shown: list[str] | None = None,
    *,
    note: str | None = None,
    keys: list[str] | None = None,
    whole: bool = True,
) -> Vector:
    """A vector with a proof file. whole: repeat what is in the file in readable form."""
    readable = {
        "leaf": one.leaf.decode(),
        "disclosures": one.disclosures,
    }
    return {
        "comment": comment,
        "event": event(one),
        "recorded_at": one.facts["recorded_at"],
        "recorded_by": one.facts["recorded_by"],
        "salts": [salt(number) for number in range(len(one.fields))],
        **(readable if whole else {}),
        "leaf_hash": one.leaf_hash.hex(),
        "keys": keys or [log_key()],
        "file": one.file(shown, note),
        "expected": expected(one, shown),
    }


def expected(one: Made, shown: list[str] | None = None) -> Vector:
    """What a verifier must find."""
    shown = one.disclosures if shown is None else shown
    values = zip(one.disclosures, one.fields.items(), strict=True)
    disclosed = {text: pair for text, pair in values if text in shown}
    return {
        "verified": True,
        "origin": ORIGIN,
        "tree_size": 7,
        "log_index": one.index,
        "facts": one.facts,
        "disclosed": dict(disclosed.values()),
        "withheld": len(one.disclosures) - len(shown),
    }


def event(one: Made, erased: list[str] | None = None) -> Vector:
    """The event as the JSON API has it: what was sent, with what the service adds."""
    facts, fields = one.facts, one.fields if erased is None else {}
    shown: Vector = {
        **{name: facts.get(name, "") for name in ("id", "organisation_id", "action")},
        "actor": facts["actor"]
        | {name: fields.get(f"actor.{name}", "") for name in ("name", "email")},
        "targets": [
            {
                "id": target["id"],
                "type": target.get("type", ""),
                "name": fields.get(f"targets.{place}.name", ""),
                "data_subject": False,
            }
            for place, target in enumerate(facts.get("targets", []))
        ],
        "outcome": OUTCOME + facts["outcome"].upper(),
        "occurred_at": facts["occurred_at"],
        "recorded_at": facts["recorded_at"],
        "recorded_by": facts["recorded_by"],
        "log_index": str(one.index),
        "erased_fields": erased or [],
        **{name: facts.get(name, "") for name in ("outcome_reason", "source")},
        **{name: fields.get(name, "") for name in ("source_address", "user_agent")},
    }
    if "metadata" in fields:
        shown["metadata"] = fields["metadata"]
    return shown


def largest() -> Made:
    """An event whose ids and types make the leaf as large as a leaf can be."""
    targets = [{"id": "\u00e9" * 450, "type": "document"} for _ in range(64)]
    one = made(targets=targets)
    room = MAX_LEAF - len(one.leaf)
    for target in targets:
        more = min(room, 128 - len(target["type"]))
        target["type"] += "t" * more
        room -= more
    if room:
        raise ValueError(f"the leaf has {len(one.leaf)} bytes")
    return one


def _moved(index: int) -> Made:
    return Made(EVERYTHING.facts, EVERYTHING.fields, index)


def _erased() -> Vector:
    """The keys of the person are destroyed: the digests stay."""
    names = list(EVERYTHING.fields)
    shown = vector("The person is erased: the event's answer names the fields.", EVERYTHING, [])
    del shown["file"]
    answer = EVERYTHING.answer(event(EVERYTHING, names), disclosures=[])
    return shown | {"answer": answer}


def _get_event() -> Vector:
    shown = vector("The JSON answer of GetEvent with proof=true.", EVERYTHING)
    del shown["file"]
    return shown | {"answer": EVERYTHING.answer(event(EVERYTHING))}


def _disclose_event() -> Vector:
    """Only the name of the actor."""
    some = [EVERYTHING.disclosures[0]]
    shown = vector("The JSON answer of DiscloseEvent, for the field actor.name.", EVERYTHING, some)
    return shown | {"answer": disclosed_answer(EVERYTHING, some, shown.pop("file"))}


def disclosed_answer(one: Made, shown: list[str], file: str) -> Vector:
    """The JSON answer of DiscloseEvent."""
    fields = dict(list(one.fields.items())[: len(shown)])
    whole = one.answer({})
    return {
        "event": event(Made(one.facts, fields, one.index)),
        "proof": {
            "leaf": whole["leaf"],
            "disclosures": shown,
            "inclusion_proof": whole["inclusion_proof"],
        },
        "checkpoint": whole["checkpoint"],
        "proof_file": file,
    }
