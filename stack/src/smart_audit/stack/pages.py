"""The API's documentation in a browser: /docs (Swagger UI), /redoc (ReDoc) and /openapi.json.

The gateway answers with them itself, as direct responses, so that they need no other server and no
host elsewhere. Files are compressed once, when the configuration is made: to do it for each request
would be much work for whoever asks without a token. Scripts and styles have paths with a digest of
what is in them, and may be kept for ever; the pages that name them may not.
"""

import gzip
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path
from typing import Any

from smart_audit.stack.problem import Problem

Json = dict[str, Any]

MAX_BYTES = 4 * 1024 * 1024
"""Of what one path answers."""

_PACKAGE = "drf-spectacular-sidecar"
_STATIC = "drf_spectacular_sidecar/static/drf_spectacular_sidecar"
_LIBRARIES = (
    "swagger-ui-dist/swagger-ui-bundle.js",
    "swagger-ui-dist/swagger-ui.css",
    "redoc/bundles/redoc.standalone.js",
)
_OWN = ("pages.css", "docs.js", "redoc.js")
_PAGES = {"/docs": "docs.html", "/redoc": "redoc.html"}
# The one thing that a library would fetch from elsewhere: a logo in ReDoc's menu.
_FOREIGN_LOGO = "https://cdn.redoc.ly/redoc/logo-mini.svg"
_DIGEST_CHARACTERS = 16
_CONTENT_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
}
# Two texts may stand in a <style>, and no other: none at all, because ReDoc adds its rules by
# script to one that is empty, and the rules of the scroll bar that it carries. Pictures in style
# sheets are data. All else has to be a file of ours.
_STYLES = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
    "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='",
)
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        f"style-src 'self' {' '.join(_STYLES)}",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Served:
    """What a path answers; body: as Envoy takes it, a file or a text."""

    path: str
    body: Json | None
    headers: dict[str, str]
    compressed: Json | None = None
    """The body by gzip, if it is worth it. Without the one above it is for who takes gzip alone."""


def prepare(folder: Path) -> list[Served]:
    """All paths and what they answer, after what is not a file yet was written into `folder`.

    Raises: Problem when the package that they are made of is not installed.
    """
    scripts = {file.name: _asset(file, folder) for file in _asset_files(folder)}
    addresses = {name: served.path for name, served in scripts.items()}
    pages = [
        Served(
            path,
            {"inline_string": _filled(_own(name).read_text(encoding="utf-8"), addresses)},
            {
                "content-type": _CONTENT_TYPES[".html"],
                "cache-control": "no-cache",
                "content-security-policy": _POLICY,
            },
        )
        for path, name in _PAGES.items()
    ]
    document = _file(
        "/openapi.json", Path(str(files("smart_audit.stack"))) / "openapi.json", "no-cache", folder
    )
    libraries = {Path(name).name for name in _LIBRARIES}
    # Every browser takes gzip, and Envoy would hold megabytes for nobody.
    assets = [
        replace(served, body=None) if name in libraries else served
        for name, served in scripts.items()
    ]
    return [*pages, document, *assets]


def _asset_files(folder: Path) -> Iterator[Path]:
    for name in _LIBRARIES:
        file = _library(name)
        script = file.read_text(encoding="utf-8")
        if _FOREIGN_LOGO in script:
            file = folder / file.name
            file.write_text(script.replace(_FOREIGN_LOGO, "data:,"), encoding="utf-8")
        yield file
    yield from map(_own, _OWN)


def _library(name: str) -> Path:
    try:
        path = Path(str(distribution(_PACKAGE).locate_file(f"{_STATIC}/{name}")))
    except PackageNotFoundError:
        raise Problem(
            f"/docs and /redoc need the package {_PACKAGE}: install requirements/pages.txt, or set "
            "GATEWAY_DOCS=off"
        ) from None
    return path


def _own(name: str) -> Path:
    return Path(str(files("smart_audit.stack") / "pages" / name))


def _asset(file: Path, folder: Path) -> Served:
    digest = _digest(file.read_bytes())
    return _file(f"/docs/assets/{digest}/{file.name}", file, _FOR_EVER, folder)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGEST_CHARACTERS]


def _file(path: str, file: Path, kept: str, folder: Path) -> Served:
    """A file, and the same compressed in `folder`; kept: for how long by whoever gets it."""
    content = file.read_bytes()
    compressed = folder / f"{file.name}.{_digest(content)}.gz"
    # From an earlier start, unless that was of another version: it takes a fifth of a second.
    if not compressed.exists():
        for old in folder.glob(f"{file.name}.*.gz"):
            old.unlink()
        draft = compressed.with_suffix(".tmp")
        draft.write_bytes(gzip.compress(content, mtime=0))
        draft.replace(compressed)
    return Served(
        path,
        {"filename": str(file)},
        {
            "content-type": _CONTENT_TYPES[file.suffix],
            "cache-control": kept,
            "vary": "accept-encoding",
        },
        {"filename": str(compressed)},
    )


def _filled(page: str, addresses: dict[str, str]) -> str:
    """The page with the addresses of what it names. Raises: KeyError for an unknown name."""
    return re.sub(r"\$\{([^}]+)\}", lambda match: addresses[match[1]], page)
