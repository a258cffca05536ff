"""The bundle in words: `summary.txt`.

It follows from the other members alone, letter by letter, so that a verifier writes it again and
compares: nobody can change what a person reads first. Another wording needs another version of
the format.

Source: docs/evidence.md, "The summary"; web/summary.js writes the same text.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from smart_audit.client.evidence.keys import Keys, Signed
from smart_audit.client.evidence.manifest import FILTERS, Manifest

MAX_LINES: Final = 50  # of one count

# Characters that break lines or turn the direction of writing: in a name they could fake a line.
_UNSEEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
)

_HOW: Final = """\
How to verify
  1. Open verify.html in a browser. It needs no network and sends nothing. Paste the log's
     verifier key as you noted it earlier, or as the log's operator publishes it.
  2. Or run: smart-audit verify evidence FILE.zip --key KEY
  3. Or write a verifier: the format is described in docs/evidence.md of Smart Audit, and stands
     on C2SP signed-note, tlog-checkpoint and tlog-proof, RFC 9162, RFC 8785 and RFC 9901.

What this proves: the events are entries of the log, word for word, and no entry between the first
and the last one is missing here. What it does not prove: that what was recorded is true, and that
no other entry matches the filters, be it withheld here as a hash or outside this range.
"""


@dataclass(slots=True)
class Tally:
    """Events counted by who, what and how it ended."""

    actions: Counter[str] = field(default_factory=Counter)
    actors: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)

    def add(self, facts: Mapping[str, Any]) -> None:
        """Count one event, by its public facts."""
        actor = facts.get("actor")
        parts = actor if isinstance(actor, dict) else {}
        who = " ".join(text for name in ("type", "id") if (text := _text(parts.get(name))))
        self.actions[_text(facts.get("action"))] += 1
        self.actors[who] += 1
        self.outcomes[_text(facts.get("outcome"))] += 1


def summary(manifest: Manifest, keys: Keys, signed: Signed, tally: Tally) -> bytes:
    """The member `summary.txt`."""
    counts, filters = manifest.counts, manifest.filters
    rows = [
        ("Log", manifest.origin),
        ("Organisation", manifest.organisation_id),
        ("Entries", f"{manifest.begin} to {manifest.end - 1} of a log of {manifest.size}"),
        ("Events shown", str(counts.events)),
        ("Entries withheld", f"{counts.withheld_leaves}, as hashes"),
        ("Fields disclosed", str(counts.disclosed)),
        ("Fields withheld", f"{counts.withheld} by choice, {counts.unavailable} unavailable"),
        *(("Filter", f"{name} = {filters[name]}") for name in FILTERS if name in filters),
        ("Root", manifest.root),
        *(("Log key", key) for key in keys.log),
        *(("Witness", f"{one.witness}, {one.at_text}") for one in signed.cosigned),
        ("Created", f"{manifest.created_at}, by the exporter's clock"),
    ]
    parts = ["Evidence from an audit log\n"]
    parts.append("".join(f"{name:<18}{printable(value)}\n" for name, value in rows))
    parts.append(_counted("By action", tally.actions))
    parts.append(_counted("By actor", tally.actors))
    parts.append(_counted("By outcome", tally.outcomes))
    parts.append(_HOW)
    return "\n".join(parts).encode()


def printable(text: str) -> str:
    r"""Text with unseen characters written as \uXXXX."""
    return _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _counted(title: str, counts: Counter[str]) -> str:
    """The most frequent first; among equals by the order of their UTF-8."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0].encode()))
    lines = [f"{title}\n", *_lines(ordered[:MAX_LINES])]
    if rest := ordered[MAX_LINES:]:
        lines.append(f"{sum(count for _, count in rest):>10}  in {len(rest)} more\n")
    return "".join(lines)


def _lines(items: Iterable[tuple[str, int]]) -> Iterable[str]:
    return (f"{count:>10}  {printable(name)}\n" for name, count in items)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
