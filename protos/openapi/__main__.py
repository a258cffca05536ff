"""Generate gateway/openapi.json, or check that the committed one is up to date."""

import json
import sys
from pathlib import Path

from protos.openapi.comments import read_comments
from protos.openapi.document import build

DOCUMENT = Path(__file__).parents[2] / "gateway" / "openapi.json"


def main() -> None:
    """Write the document, or compare it."""
    text = json.dumps(build(read_comments()), indent=1, ensure_ascii=False) + "\n"
    if "--check" not in sys.argv[1:]:
        DOCUMENT.write_text(text, encoding="utf-8")
    elif not DOCUMENT.exists() or DOCUMENT.read_text(encoding="utf-8") != text:
        sys.exit("gateway/openapi.json is out of date, run `make proto`")


if __name__ == "__main__":
    main()
