"""A state of a log that somebody remembers, and that the database cannot take back."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class KeptCheckpoint:
    """A log as it was when everything in it was found to be right.

    root: 32 bytes, that of the tree over the first `size` entries.
    checkpoints: how many had been signed.
    """

    organisation_id: UUID
    size: int
    root: bytes
    checkpoints: int
