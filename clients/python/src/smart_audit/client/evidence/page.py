"""The page that verifies a bundle in a browser: one file, no network.

Between its style and its scripts stands the data block: a JSON object with the text of every other
member by name, or nothing at all when they are too much for a page; it then asks for the zip.

The page's policy lets exactly these scripts and this style run, by their hashes, and lets nothing
be loaded or sent. The block is data to the browser, whatever stands in it.

Source: docs/evidence.md, "The page".
"""

import json
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

from smart_audit.client.evidence.formats import PAGE
from smart_audit.client.evidence.lines import EvidenceError

MAX_EMBEDDED: Final = 16 * 1024 * 1024  # bytes of all members together

_SCRIPTS: Final = (
    "bytes.js", "unzip.js", "tree.js", "notes.js", "entries.js", "summary.js", "formats.js",
    "check.js", "view.js", "main.js",
)  # fmt: skip
_BLOCK_BEGIN: Final = b'<script type="application/json" id="bundle">'
_BLOCK_END: Final = b"</script>"


class Embedding:
    """The members that the page will hold, as long as they are not too much."""

    def __init__(self) -> None:
        self._parts: dict[str, list[bytes]] | None = {}
        self._size = 0

    def begin(self, name: str) -> Callable[[bytes], None]:
        """Begin a member; the page itself is none. What is returned takes its bytes in turn."""
        parts: list[bytes] = []
        if self._parts is not None and name != PAGE:
            self._parts[name] = parts

        def keep(data: bytes) -> None:
            if self._parts is None:
                return
            self._size += len(data)
            if self._size > MAX_EMBEDDED:
                self._parts = None
                parts.clear()
                return
            parts.append(data)

        return keep

    @property
    def is_open(self) -> bool:
        """Whether there was not too much so far."""
        return self._parts is not None

    def block(self) -> str:
        """The text of the data block; empty when the members are too much."""
        if self._parts is None:
            return ""
        members = {name: _text(b"".join(parts), name) for name, parts in self._parts.items()}
        # No "<" in the block: no text of an event can end it.
        return json.dumps(members, ensure_ascii=False, separators=(",", ":")).replace(
            "<", "\\u003c"
        )


def page(embedding: Embedding) -> bytes:
    """The page with its data."""
    head, tail = _halves()
    return page_around(head.encode(), embedding, tail.encode())


def page_around(head: bytes, embedding: Embedding, tail: bytes) -> bytes:
    """Any page with this data between its halves.

    Raises: EvidenceError for a member that is not text.
    """
    return head + embedding.block().encode() + tail


def empty_page() -> bytes:
    """The page with an empty data block: what the manifest's digest is over."""
    return "".join(_halves()).encode()


def split_page(data: bytes) -> tuple[bytes, bytes, bytes]:
    """(what is before the data block, the block's text, what is behind it).

    Raises: EvidenceError for a page without such a block, or with two.
    """
    head, begin, rest = data.partition(_BLOCK_BEGIN)
    block, end, tail = rest.partition(_BLOCK_END)
    if not begin or not end or _BLOCK_BEGIN in rest:
        raise EvidenceError(PAGE, "it has no data block, or two")
    return head + begin, block, end + tail


@cache
def _halves() -> tuple[str, str]:
    """The page before and behind its data."""
    style = _part("page.css")
    script = "".join(_part(name) for name in _SCRIPTS)
    whole = (
        _part("page.html")
        .replace("{{style-hash}}", _csp_hash(style))
        .replace("{{script-hash}}", _csp_hash(script))
        .replace("{{style}}", style)
        .replace("{{script}}", script)
    )
    head, begin, tail = whole.partition(_BLOCK_BEGIN.decode())
    return head + begin, tail


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise EvidenceError(name, "it is not UTF-8") from error


def _part(name: str) -> str:
    return (files(__package__) / "web" / name).read_text(encoding="utf-8")


def _csp_hash(text: str) -> str:
    """How a page's policy names an inline script or style. Source: CSP level 3."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
