"""Text of others on a terminal of ours, without anything that is slow to import."""

import sys


def printable(text: str) -> str:
    """A text of others: nothing in it can move the cursor or turn the writing."""
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def complain(sentence: str) -> None:
    """Say on stderr what is wrong."""
    lines = map(printable, f"smart-audit: {sentence}".split("\n"))
    sys.stderr.write("\n".join(lines) + "\n")


def repeated(error: Exception, for_s: float) -> str:
    """What to say while a call that failed is being repeated."""
    return f"{error}; trying again for up to {for_s:g} seconds"


def tell(sentence: str, *, quiet: bool = False) -> None:
    """Say on stderr what was done."""
    if not quiet:
        sys.stderr.write(f"{printable(sentence)}\n")


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
