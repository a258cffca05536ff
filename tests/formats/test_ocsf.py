"""OCSF lines hold against the published schema, for every event that the product knows of."""

import json
from collections import Counter

import pytest
from hypothesis import given

from smart_audit.audit import wiring as audit_wiring
from smart_audit.audit.domain import Actor, Outcome, Target
from smart_audit.audit.formats import FormatName, open_format
from smart_audit.audit.formats.ocsf.classes import kind_of
from smart_audit.auth import wiring as auth_wiring
from smart_audit.core.rpc.access import rules_of
from tests.formats.making import NOW, RECORDED, new_event, recorded
from tests.formats.ocsf_schema import faults, recommended

# What the lines declare, and the newest that they are held against.
VERSIONS = ("1.3.0", "1.8.0")
OWN_ACTIONS = sorted(
    {rule.action for rule in rules_of([*auth_wiring.SERVICES, *audit_wiring.SERVICES]).values()}
    | {"auth.login.challenge"}
)


def lines(*events):
    format_ = open_format(FormatName.OCSF)
    data = format_.begin() + format_.lines(events) + format_.end()
    return [json.loads(line) for line in data.decode().split("\n")[:-1]]


def line(**changes):
    (one,) = lines(recorded(new_event(**changes)))
    return one


def all_faults(events):
    return [
        (fault, one) for one in events for version in VERSIONS for fault in faults(one, version)
    ]


@pytest.mark.soak
def test_every_real_event_is_valid(real_events):
    found = lines(*real_events)
    assert [fault for one in found for fault in faults(one, VERSIONS[0])] == []
    one_of_each = {one["metadata"]["event_code"]: one for one in found}.values()
    assert all_faults(one_of_each) == []
    assert Counter(one["class_name"] for one in found) == {
        "API Activity": 2881,
        "Account Change": 17,
        "Authentication": 2,
    }
    # What is recommended and left out is what the product cannot know.
    unknown = {"dst_endpoint", "http_response", "observables", "timezone_offset"}
    missing = {name for one in found[:500] for name in recommended(one, "1.3.0")}
    assert missing - unknown <= {"resources", "status_code", "status_detail", "http_request"}


@pytest.mark.parametrize("outcome", Outcome)
def test_every_action_of_the_product_is_valid(outcome):
    target = Target("u_2", "user", "Bob")
    found = lines(
        *(
            recorded(
                new_event(
                    action=action, outcome=outcome, targets=targets, source="smart-audit.auth"
                )
            )
            for action in OWN_ACTIONS
            for targets in ((), (target,))
        )
    )
    assert all_faults(found) == []


@given(RECORDED)
def test_any_event_is_valid(one):
    assert all_faults(lines(one)) == []


@pytest.mark.parametrize(
    ("action", "type_name"),
    [
        ("auth.login", "Authentication: Logon"),
        ("auth.logout", "Authentication: Logoff"),
        ("auth.session.revoke", "Authentication: Logoff"),
        ("auth.refresh", "Authentication: Refresh"),
        ("auth.signup", "Account Change: Create"),
        ("auth.password.change", "Account Change: Password Change"),
        ("auth.password.reset", "Account Change: Password Reset"),
        ("auth.factor.totp.confirm", "Account Change: MFA Factor Enable"),
        ("auth.factor.passkey.remove", "Account Change: MFA Factor Disable"),
        ("organisation.member.update", "Account Change: Update"),
        ("user.deactivate", "Account Change: Disable"),
        ("auth.account.delete", "Account Change: Delete"),
        ("auth.account.export", "API Activity: Read"),
        ("organisation.invitation.create", "API Activity: Create"),
        ("subject.erase", "API Activity: Delete"),
        ("iam.CreateUser", "Account Change: Create"),
        ("signin.ConsoleLogin", "Authentication: Logon"),
        ("session.signOut", "Authentication: Logoff"),
        ("user.logged_in", "Authentication: Logon"),
        ("s3.GetObject", "API Activity: Read"),
        ("iam.CreateLoginProfileX", "API Activity: Create"),
        ("document.viewed", "API Activity: Read"),
        ("invoice:Approve", "API Activity: Update"),
        ("member_removed", "API Activity: Delete"),
        ("kms.Decrypt", "API Activity: Decrypt"),
        ("-", "API Activity: -"),
        ("a..", "API Activity: A"),
    ],
)
def test_an_action_tells_class_and_activity(action, type_name):
    kind = kind_of(action)
    assert f"{kind.cls.name}: {kind.activity_name}" == type_name


def test_an_event_of_the_api_says_who_did_what_from_where():
    made = line(outcome=Outcome.DENIED, outcome_reason="AccessDenied")
    assert made["type_uid"] == 600304
    assert (made["time"], made["time_dt"]) == (1772368215250, "2026-03-01T12:30:15.250000Z")
    assert (made["status"], made["status_code"], made["status_detail"]) == (
        "Failure",
        "AccessDenied",
        "Denied",
    )
    assert made["severity"] == "Medium"
    assert made["actor"]["user"] == {
        "uid": "u_1",
        "type": "user",
        "type_id": 1,
        "name": "Ada Lovelace",
        "email_addr": "ada@a.test",
    }
    assert made["api"] == {"operation": "document.delete", "service": {"name": "editor"}}
    assert made["resources"] == [
        {"uid": "d_1", "type": "document", "name": "Plans"},
        {"uid": "f_1", "type": "folder"},
    ]
    assert made["src_endpoint"] == {"ip": "192.0.2.7"}
    assert made["unmapped"]["outcome"] == "DENIED"
    assert made["unmapped"]["metadata"] == new_event().metadata


def test_the_account_that_changed_is_the_user():
    changed = line(action="organisation.member.update", targets=(Target("u_2", "user", "Bob"),))
    assert changed["user"]["uid"] == "u_2"
    assert changed["actor"]["user"]["uid"] == "u_1"
    own = line(action="auth.password.change", targets=())
    assert own["user"]["uid"] == "u_1"


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("2001:db8::7", {"ip": "2001:db8::7"}),
        ("ec2.amazonaws.com", {"hostname": "ec2.amazonaws.com"}),
        ("AWS Internal", {"name": "AWS Internal"}),
        ("", {"name": "unknown"}),
    ],
)
def test_an_address_is_an_ip_a_host_or_a_name(address, endpoint):
    assert line(source_address=address)["src_endpoint"] == endpoint


def test_what_was_erased_is_shown_as_erased():
    (made,) = lines(
        recorded(
            new_event(actor=Actor("u_1", "user"), source_address="", metadata={}),
            erased=["actor.name", "source_address", "metadata"],
        )
    )
    assert made["src_endpoint"] == {"name": "erased"}
    assert made["unmapped"]["erased_fields"] == ["actor.name", "source_address", "metadata"]
    assert "metadata" not in made["unmapped"]


def test_times_are_rounded_down_to_milliseconds_and_kept_whole_beside():
    made = line(occurred_at=NOW.replace(microsecond=999_999))
    assert made["time"] == 1772368215999
    assert made["time_dt"].endswith(":15.999999Z")
