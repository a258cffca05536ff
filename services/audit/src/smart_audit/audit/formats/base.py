"""What a format is."""

from collections.abc import Sequence
from typing import Protocol

from smart_audit.audit.domain import InclusionProof, Recorded

Proofs = Sequence[InclusionProof]
"""One of each event of a chunk, in the same order."""


class Format(Protocol):
    """One file in the making: `begin`, any number of `lines`, `end`; the pieces make the file.

    An instance belongs to one file, since a format may hold back what it has not yet written.
    """

    content_type: str
    """As HTTP names it."""
    file_extension: str
    """Without a dot, e.g. "csv"."""
    takes_proofs: bool
    """Whether a line has room for the proof of its event."""
    cuttable: bool
    """Whether a file that was cut behind a whole chunk goes on with the next one: what follows
    needs neither `begin` nor anything that was written before."""

    def begin(self) -> bytes:
        """What stands in front of the first event; may be empty."""
        ...

    def lines(self, events: Sequence[Recorded], proofs: Proofs | None = None) -> bytes:
        """The next events; may be empty when the format holds them back for a while.

        proofs: only of formats that take them; the others ignore them.
        """
        ...

    def end(self) -> bytes:
        """What stands behind the last event; may be empty."""
        ...
