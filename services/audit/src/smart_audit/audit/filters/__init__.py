"""Filters over events: the language of AIP-160, what it means, and whether an event matches.

Pure: no SQL and no wire. `repository/filter_sql.py` compiles expressions for the database.
"""

from smart_audit.audit.filters.expressions import (
    And,
    Comparator,
    Condition,
    Expression,
    Not,
    Or,
    Words,
    conditions,
    conditions_of,
    conjunction,
    disjunction,
)
from smart_audit.audit.filters.matching import Facts, matches
from smart_audit.audit.filters.parsing import parse_filter

__all__ = [
    "And",
    "Comparator",
    "Condition",
    "Expression",
    "Facts",
    "Not",
    "Or",
    "Words",
    "conditions",
    "conditions_of",
    "conjunction",
    "disjunction",
    "matches",
    "parse_filter",
]
