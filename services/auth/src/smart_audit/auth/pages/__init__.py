"""The built-in pages that links in mails lead to: one file, which loads nothing."""

import base64
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Page:
    """A page, and the policy that lets nothing but its own style and script run."""

    html: bytes
    policy: str
    """The header `content-security-policy`."""


def load() -> Page:
    """The page for all links; it shows what its own path says."""
    style, script = (FOLDER / name for name in ("account.css", "account.js"))
    parts = {"style": style.read_text(), "script": script.read_text()}
    html = (FOLDER / "account.html").read_text()
    for name, text in parts.items():
        html = html.replace(f"{{{name}}}", text)
    policy = (
        f"default-src 'none'; style-src {_source(parts['style'])}; "
        f"script-src {_source(parts['script'])}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Page(html.encode(), policy)


def _source(text: str) -> str:
    """By which a policy knows an inline text (CSP level 3, section 2.3.1)."""
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"
