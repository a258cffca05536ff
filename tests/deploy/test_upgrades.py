"""Migrations expand, as docs/upgrade.md promises: the version before works on the new schema."""

import re

import pytest

from tests.support.images import ROOT

# What these take away went before the first release.
BEFORE = {"auth/0002_organisations.py", "audit/0006_event_types.py"}
MIGRATIONS = {
    f"{service}/{path.name}": path
    for service in ("auth", "audit")
    for path in (ROOT / f"services/{service}/src/smart_audit/{service}/migrations/versions").glob(
        "0*.py"
    )
}
# What a function does when it is called, such as to drop a partition, is in a format().
TAKES_AWAY = re.compile(
    r"^\s*(DROP (TABLE|FUNCTION|SCHEMA|VIEW)|.*\b(DROP COLUMN|RENAME (TO|COLUMN)|SET NOT NULL|"
    r"ALTER COLUMN \w+ (SET DATA )?TYPE)\b)",
    re.IGNORECASE | re.MULTILINE,
)


@pytest.mark.parametrize("name", MIGRATIONS)
def test_a_migration_takes_nothing_away(name):
    found = TAKES_AWAY.search(MIGRATIONS[name].read_text())
    assert (found is not None) is (name in BEFORE), found
