"""The files of a log, between HTTP and the domain."""

import re
from typing import Final

from google.api.httpbody_pb2 import HttpBody

from smart_audit.audit.errors import TilePathInvalid
from smart_audit.audit.use_cases.tiles import File
from smart_audit.tlog.tiles import TILE_WIDTH, TilePath, entries_path, parse_tile_path, tile_path

TEXT: Final = "text/plain; charset=utf-8"
BYTES: Final = "application/octet-stream"

PREFIX: Final = "tile/"
FORM: Final = "<level>/<index>[.p/<width>] or entries/<index>[.p/<width>]"
EXAMPLE: Final = "0/x001/x234/067.p/8"

# What somebody meant who wrote a number plainly, or with other zeros.
_MEANT: Final = re.compile(
    r"(?P<level>entries|[0-9]{1,3})/+(?P<index>[0-9]{1,20}|(?:x?[0-9]{3}/+){1,6}x?[0-9]{3})"
    r"(?:\.p/(?P<width>[0-9]{1,4}))?/?"
)


def to_tile_path(path: str) -> TilePath:
    """What a path below `tile/` names. Raises: TilePathInvalid, which says how it is spelled."""
    try:
        return parse_tile_path(PREFIX + path)
    except ValueError as error:
        right = _right_spelling(path)
        remedy = f"must be written {right}" if right else f"must be {FORM}, such as {EXAMPLE}"
        raise TilePathInvalid(
            f"{path!r} is not the path of a tile: it {remedy}", fields={"path": remedy}, path=path
        ) from error


def from_file(file: File, content_type: str) -> HttpBody:
    """A file of a log."""
    return HttpBody(content_type=content_type, data=file.data)


def cache_control(file: File) -> str:
    """Who may keep a file, and for how long (RFC 9111, RFC 8246)."""
    words = [
        "public" if file.public else "private",
        f"max-age={int(file.lifetime.total_seconds())}",
    ]
    return ", ".join([*words, "immutable"] if file.immutable else words)


def _right_spelling(path: str) -> str | None:
    """How a path is spelled that can be understood; None for what cannot."""
    meant = _MEANT.fullmatch(path)
    if meant is None:
        return None
    index, width = int(re.sub("[x/]", "", meant["index"])), int(meant["width"] or TILE_WIDTH)
    try:
        if meant["level"] == "entries":
            return entries_path(index, width).removeprefix(PREFIX)
        return tile_path(int(meant["level"]), index, width).removeprefix(PREFIX)
    except ValueError:
        return None
