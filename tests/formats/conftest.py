"""Real events."""

import gzip
import json
from pathlib import Path

import pytest

from tests.formats.making import imported

RECORDS = Path(__file__).parents[1] / "data" / "cloudtrail" / "events.jsonl.gz"


@pytest.fixture(scope="session")
def real_events():
    """The 2,900 CloudTrail events as the product imports them."""
    with gzip.open(RECORDS) as lines:
        return imported([json.loads(line) for line in lines])
