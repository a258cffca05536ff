"""Which ports metrics get, by what the settings say."""

import pytest

from smart_audit.stack import metrics


@pytest.mark.parametrize(
    ("named", "ports"),
    [
        (None, [20001, 20002, 20003]),
        ("", [20001, 20002, 20003]),
        ("9100", [9100, 20002, 20003]),
        ("0", [0, 0, 0]),
    ],
)
def test_each_worker_has_a_port_unless_none_is_wanted(named, ports):
    assert metrics.chosen(named, [20001, 20002, 20003]) == ports
