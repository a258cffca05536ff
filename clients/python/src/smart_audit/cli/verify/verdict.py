"""What is said of a whole log that holds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from smart_audit.client.log.findings import Findings
from smart_audit.client.log.trust import Earlier, Opened, Trust


@dataclass(frozen=True, slots=True)
class Verdict:
    """A log that holds. remembered_in: where this state is now remembered; None for nowhere."""

    opened: Opened
    earlier: Sequence[Earlier]
    findings: Findings
    remembered_in: Path | None


def verdict_lines(verdict: Verdict) -> Iterator[str]:
    """What was verified, and by what."""
    opened, findings = verdict.opened, verdict.findings
    signed = opened.signed
    yield f"verified {_counted(signed.size, 'entry', 'entries')} of {signed.origin}"
    yield f"root     {signed.root_text}"
    yield from _key_lines(opened)
    for one in signed.cosigned:
        yield f"cosigned {one.at_text}  {one.verifier_key}"
    for known in verdict.earlier:
        yield f"extends  {_counted(known.signed.size, 'entry', 'entries')}, by {known.what}"
    if findings.events is not None:
        hidden = f"; {_counted(findings.withheld, 'field', 'fields')} of them erased or withheld"
        events = _counted(findings.events, "event", "events")
        yield f"shown    {events} as the entries say{hidden if findings.withheld else ''}"
    if findings.expired:
        yield (
            f"expired  {_counted(findings.expired, 'entry', 'entries')}: retention has removed "
            "content, the hashes stand"
        )
    if verdict.remembered_in is not None:
        yield f"state    {verdict.remembered_in}"


def _key_lines(opened: Opened) -> Iterator[str]:
    for key in opened.signed.verifier_keys:
        yield f"key      {key}"
    for key in opened.replaced:
        yield f"instead  of the remembered {key}"
    if opened.trust is Trust.FIRST_USE:
        yield (
            "trust    first use: the key came from the service itself; compare it with the one "
            "that its owner publishes"
        )


def _counted(count: int, one: str, many: str) -> str:
    return f"1 {one}" if count == 1 else f"{count} {many}"
