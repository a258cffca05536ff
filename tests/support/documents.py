"""What the documents show to be typed, and a shell that types it."""

import asyncio
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "clients").glob("*/README.md")),
    *sorted((ROOT / "deploy").rglob("README.md")),
]
FENCE = re.compile(
    r"(?:<!-- not run: ([^>]+) -->\n)?^( *)```(\w*)\n(.*?)^\2```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A fenced block; `reason` says why it is not run, if a comment above it does."""

    language: str
    text: str
    reason: str


def blocks(page: Path) -> list[Block]:
    """All blocks of a page."""
    found = FENCE.findall(page.read_text())
    return [Block(language, dedent(text), reason) for reason, _, language, text in found]


def name_of(page: Path) -> str:
    """As in `docs/tail.md`."""
    return str(page.relative_to(ROOT))


async def shell(script: str, folder: Path, **environment: str) -> tuple[int, str]:
    """Run a script as typed: (exit code, what it said). curl fails when it is refused."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    (folder / ".curlrc").write_text("fail-with-body\n")
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-euo",
        "pipefail",
        "-c",
        script,
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode or 0, output.decode()
