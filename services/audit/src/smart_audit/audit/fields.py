"""The fields that filters know, and what each can be asked."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

METADATA = "metadata."


class Kind(Enum):
    """What the values of a field are."""

    TEXT = auto()
    TIME = auto()
    NUMBER = auto()
    ID = auto()
    OUTCOME = auto()


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an event; equality and presence can be asked of each."""

    name: str
    kind: Kind = Kind.TEXT
    words: bool = False
    """Whether `:` finds the words in it; where not, `:` is `=`."""
    wildcards: bool = False
    ordered: bool = False
    """Whether it has `<` and its like."""
    always: bool = False
    """Whether each event has it."""
    sealed: bool = False
    """Whether it is kept as keyed hashes alone (see `terms.py`)."""

    @property
    def has_presence_term(self) -> bool:
        """Whether its presence is a term: it is neither certain nor known of a kind of event."""
        return self.words and not self.always

    @property
    def repeated(self) -> bool:
        """Whether an event may have several."""
        return self.name.startswith("target.")

    def comparators(self) -> Iterator[str]:
        """Those that it has."""
        yield from ("=", "!=", ":")
        if self.ordered:
            yield from ("<", "<=", ">", ">=")


_ALL = (
    Field("id", Kind.ID, always=True),
    Field("action", words=True, wildcards=True, ordered=True, always=True),
    Field("actor.id", words=True, wildcards=True, ordered=True, always=True),
    Field("actor.type", always=True),
    Field("actor.name", words=True, sealed=True),
    Field("actor.email", words=True, sealed=True),
    Field("target.id", words=True, wildcards=True),
    Field("target.type", wildcards=True),
    Field("target.name", words=True, sealed=True),
    Field("outcome", Kind.OUTCOME, always=True),
    Field("outcome_reason", words=True),
    Field("occurred_at", Kind.TIME, ordered=True, always=True),
    Field("recorded_at", Kind.TIME, ordered=True, always=True),
    Field("recorded_by", always=True),
    Field("source", wildcards=True, ordered=True),
    Field("source_address", words=True, sealed=True),
    Field("user_agent", words=True, sealed=True),
    Field("log_index", Kind.NUMBER, ordered=True, always=True),
    # What search groups by: action, target types, outcome, reason and source together.
    Field("kind", Kind.NUMBER, always=True),
)
FIELDS = {field.name: field for field in _ALL}
NAMES = (*FIELDS, "metadata.<path>")
"""All that may stand on the left of a comparator."""


def field_of(name: str) -> Field | None:
    """The field of this name; the paths below `metadata` are fields too."""
    if name.startswith(METADATA):
        return Field(name, words=True, sealed=True)
    return FIELDS.get(name)


def known_field(name: str) -> Field:
    """The field of a condition, which is always known. Raises: KeyError."""
    field = field_of(name)
    if field is None:
        raise KeyError(name)
    return field
