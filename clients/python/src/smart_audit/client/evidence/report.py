"""What a check of a bundle has found."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from smart_audit.client.evidence.lines import EvidenceError
from smart_audit.client.evidence.manifest import Manifest
from smart_audit.client.evidence.summary import printable
from smart_audit.client.keys import Cosigned

MAX_FAULTS: Final = 1000  # that are kept; the rest is counted

# What is checked, in order; the page in the browser has the same lines.
CHECKS: Final = (
    "the zip holds the members of a bundle",
    "the members are those that the manifest names",
    "the checkpoint is signed",
    "the leaves are complete and open to their disclosures",
    "the events are what their leaves state",
    "the range of leaves leads to the signed root",
    "each event has a proof of its own",
    "the summary and the manifest say what the events say",
    "the page is whole",
)
(
    ZIP,
    MEMBERS,
    SIGNATURES,
    OPENED,
    DERIVED,
    RANGE,
    PROOFS,
    CLAIMS,
    WHOLE_PAGE,
) = range(len(CHECKS))


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that does not hold, and where."""

    place: str
    why: str

    def __str__(self) -> str:
        """One line. What a bundle holds cannot break it, or turn the writing on a terminal."""
        return printable(f"{self.place}: {self.why}")


@dataclass(slots=True)
class Report:
    """What was found.

    faults: in the order of the checks; further_faults: how many more there were. passed: for each
    of CHECKS whether it was done and held. manifest: None when it cannot be read; believe it only
    when `holds`. log_keys: the keys of the log that have signed; key_is_trusted: whether they are
    of those that the caller trusts, or the bundle's own. cosigned: by the witnesses in the bundle,
    and by those that the caller trusts; trusted_witnesses: the verifier keys of the latter.
    notes: what a reader should know, though it is no fault.
    """

    faults: list[Fault] = field(default_factory=list)
    further_faults: int = 0
    passed: list[bool] = field(default_factory=lambda: [False] * len(CHECKS))
    manifest: Manifest | None = None
    log_keys: tuple[str, ...] = ()
    key_is_trusted: bool = False
    cosigned: tuple[Cosigned, ...] = ()
    trusted_witnesses: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether everything was checked and nothing is wrong."""
        return not self.faults and all(self.passed)

    @property
    def verdict(self) -> str:
        """One sentence."""
        manifest = self.manifest
        if not self.holds or manifest is None:
            return "NOT verified" + (f": {self.faults[0]}" if self.faults else "")
        key = "a key that you trust" if self.key_is_trusted else "the key in the bundle itself"
        return printable(
            f"verified {manifest.counts.events} events among entries {manifest.begin} to "
            f"{manifest.end - 1} of {manifest.size} in {manifest.origin}, under {key}"
        )

    def lines(self) -> Iterator[str]:
        """The report as text: each check, each fault, each note, and the verdict."""
        for name, passed in zip(CHECKS, self.passed, strict=True):
            yield f"{'ok     ' if passed else 'FAILED '} {name}"
        yield from map(str, self.faults)
        if self.further_faults:
            yield f"and {self.further_faults} more faults"
        for key in self.log_keys:
            yield printable(f"signed   {key}  ({_whose(trusted=self.key_is_trusted)})")
        for one in self.cosigned:
            whose = _whose(trusted=one.verifier_key in self.trusted_witnesses)
            yield printable(f"cosigned {one.at_text}  {one.verifier_key}  ({whose})")
        yield from map(printable, self.notes)
        yield self.verdict

    def add(self, error: EvidenceError) -> None:
        """Note a fault."""
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(error.place, error.why))
        else:
            self.further_faults += 1


def _whose(*, trusted: bool) -> str:
    return "a key that you trust" if trusted else "the bundle's own key"
