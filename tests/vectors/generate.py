"""Write the vectors of the log format: one JSON file for each (docs/log-format.md, "Vectors").

    python -m tests.vectors.generate

Nothing is random: whoever runs this gets the same files, byte for byte. A test does.
"""

from pathlib import Path

from tests.vectors.bad import bad
from tests.vectors.build import text_of
from tests.vectors.good import good
from tests.vectors.tree import tree

FOLDER = Path(__file__).parent


def files() -> dict[str, str]:
    """The content of each file by its name."""
    vectors = {"00-tree": tree(), **good(), **bad()}
    return {f"{name}.json": text_of(vector) for name, vector in vectors.items()}


def main() -> None:
    """Write what is new or changed, and take away what is no vector any more."""
    made = files()
    for path in FOLDER.glob("*.json"):
        if path.name not in made:
            path.unlink()
    for name, content in made.items():
        (FOLDER / name).write_text(content, encoding="ascii")


if __name__ == "__main__":
    main()
