"""What AWS's operations mean, from botocore."""

import gzip
import json
from pathlib import Path

import pytest

from smart_audit.client.imports import aws_operations
from smart_audit.client.imports.aws_operations import BotocoreMissing, operations, short

EVENTS = Path(__file__).parents[1] / "data" / "cloudtrail" / "events.jsonl.gz"


def test_an_operation_has_a_name_and_a_description():
    (found,) = operations(["iam.PutRolePolicy"])

    assert found.action == "iam.PutRolePolicy"
    assert found.display_name == "Put role policy"
    assert found.description.startswith("Adds or updates an inline policy document")


@pytest.mark.parametrize(
    ("action", "name"),
    [
        ("lambda.UpdateFunctionCode20150331v2", "Update function code"),
        ("monitoring.DescribeAlarms", "Describe alarms"),
        ("elasticloadbalancing.DescribeLoadBalancers", "Describe load balancers"),
        ("iam.ListMFADevices", "List MFA devices"),
    ],
)
def test_names_that_differ_are_known(action, name):
    assert [one.display_name for one in operations([action])] == [name]


def test_what_is_not_documented_is_left_out():
    assert list(operations(["iam.NoSuch", "nothing.Here", "signin.ConsoleLogin", "odd"])) == []


def test_most_of_a_real_trail_is_described():
    with gzip.open(EVENTS, "rt") as file:
        records = [json.loads(line) for line in file]
    kinds = {f"{one['eventSource'].partition('.')[0]}.{one['eventName']}" for one in records}

    found = list(operations(sorted(kinds)))

    assert len(kinds) == 262
    assert len(found) >= 244
    assert all(0 < len(one.description) <= 300 and "<" not in one.description for one in found)


@pytest.mark.parametrize(
    ("documentation", "expected"),
    [
        (
            "<p>Deletes the <a href='x'>role</a>. It is gone. For good.</p>",
            "Deletes the role. It is gone.",
        ),
        ("<p>Reads A &amp; B.</p><note><p>Not for you.</p></note>", "Reads A & B."),
        ("", ""),
    ],
)
def test_a_documentation_becomes_two_sentences(documentation, expected):
    assert short(documentation) == expected


def test_a_long_description_is_cut_between_words():
    cut = short("word " * 100)

    assert len(cut) <= 300
    assert cut.endswith(" word…")


def test_without_the_package_it_is_said_how_to_install_it(monkeypatch):
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(aws_operations, "import_module", missing)

    with pytest.raises(BotocoreMissing, match="cloudtrail"):
        list(operations(["iam.GetUser"]))
