"""Write the table of requirements into docs/security.md.

python -m tests.asvs.document          write it
python -m tests.asvs.document --check  exit 1 when the document says something else
"""

import importlib
import sys
from pathlib import Path

from tests.asvs.open import OPEN
from tests.asvs.requirements import PROOFS, REQUIREMENTS

FOLDER = Path(__file__).parent
DOCUMENT = FOLDER.parents[1] / "docs" / "security.md"
BEGIN = "<!-- made by `python -m tests.asvs.document` -->\n"
END = "<!-- end of what is made -->\n"


def tables() -> str:
    """What is met, by which test; and what is open, and why."""
    for path in sorted(FOLDER.glob("test_*.py")):
        importlib.import_module(f"tests.asvs.{path.stem}")
    lines = ["| | Level | Asked for | How it is met | Test |", "|---|---|---|---|---|"]
    for name, requirement in REQUIREMENTS.items():
        if (proof := PROOFS.get(name)) is not None:
            link = f"[{proof.test}](../tests/asvs/{proof.file})"
            lines.append(
                f"| {name} | {requirement.level} | {requirement.asks} | {proof.how} | {link} |"
            )
    lines += ["", "### What is open", ""]
    lines += ["| | Level | Asked for | | Why |", "|---|---|---|---|---|"]
    for name, requirement in REQUIREMENTS.items():
        if (open_ := OPEN.get(name)) is not None:
            lines.append(
                f"| {name} | {requirement.level} | {requirement.asks}"
                f" | {open_.verdict} | {open_.reason} |"
            )
    return "\n".join([*lines, ""])


def rendered(text: str) -> str:
    """The document with the tables as they are now. Raises: ValueError when a mark is missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{DOCUMENT.name} lacks the marks around its tables")
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"


def main() -> None:
    """Write or check the document."""
    text = DOCUMENT.read_text()
    if "--check" in sys.argv[1:]:
        sys.exit(text != rendered(text))
    DOCUMENT.write_text(rendered(text))


if __name__ == "__main__":
    main()
