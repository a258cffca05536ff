"""docs/security.md says what the tests show, of every requirement."""

from tests.asvs.document import DOCUMENT, rendered, tables
from tests.asvs.open import OPEN
from tests.asvs.requirements import PROOFS, REQUIREMENTS


def test_every_requirement_has_a_test_or_a_reason():
    tables()
    silent = set(REQUIREMENTS) - set(PROOFS) - {name for name, one in OPEN.items() if one.reason}
    assert sorted(silent) == []


def test_nothing_is_proved_and_open_at_once():
    tables()
    both = {name for name in OPEN if OPEN[name].verdict != "met in part"} & set(PROOFS)
    assert sorted(both) == []
    assert set(OPEN) <= set(REQUIREMENTS)


def test_the_document_is_up_to_date():
    text = DOCUMENT.read_text()
    assert text == rendered(text), "run `python -m tests.asvs.document`"
