"""Images without an engine: the steps of a Dockerfile, run in a folder that stands for its root."""

import asyncio
import json
import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[2]
DOCKERFILES = {
    "auth": "services/auth/Dockerfile",
    "audit": "services/audit/Dockerfile",
    "gateway": "gateway/Dockerfile",
}
# The folders of an image that its steps name.
PLACES = ("/opt/smart-audit", "/var/lib/smart-audit", "/run/smart-audit", "/src")
TOOLS = Path(sys.executable).parent
PACKAGES = Path(sysconfig.get_path("purelib"))


@cache
def steps(name: str) -> list[list[tuple[str, str]]]:
    """The instructions of each stage of an image's Dockerfile: (word, rest), lines joined."""
    with (ROOT / DOCKERFILES[name]).open("rb") as file:
        structure = DockerfileParser(fileobj=file).structure
    stages: list[list[tuple[str, str]]] = []
    for step in structure:
        if step["instruction"] == "FROM":
            stages.append([])
        if stages and step["instruction"] != "COMMENT":
            stages[-1].append((step["instruction"], step["value"]))
    return stages


@cache
def _patterns() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def is_sent(path: str) -> bool:
    """Whether .dockerignore lets a path into the build context."""
    parts = Path(path).parts
    above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    sent = True
    for pattern in _patterns():
        if any(fnmatch(one, pattern.removeprefix("!")) for one in above):
            sent = pattern.startswith("!")
    return sent


class Image:
    """What a Dockerfile makes, under `root`, which stands for `/`."""

    def __init__(self, name: str, root: Path) -> None:
        self.name = name
        self.root = root
        self.stages = steps(name)
        self.last = dict(self.stages[-1])

    def here(self, text: str) -> str:
        """The same text with the image's folders where they are on this machine."""
        return re.sub("|".join(PLACES), lambda match: f"{self.root}{match[0]}", text)

    def environment(self, stage: int) -> dict[str, str]:
        """What the ENV instructions of a stage say, over the path of this machine."""
        found = {"PATH": f"{TOOLS}:{os.environ['PATH']}"}
        for word, rest in self.stages[stage]:
            if word == "ENV":
                pairs = (pair.partition("=") for pair in rest.split())
                values = {key: self.here(value) for key, _, value in pairs}
                found |= {
                    key: value.replace("$PATH", found["PATH"]) for key, value in values.items()
                }
        return found

    async def build(self, *, from_nothing: bool = False) -> None:
        """Run the first stage, and copy what the second takes from it and from the context.

        The RUN of the second stage makes a user and its folder: that is for an engine.

        from_nothing: with a Python and its tools of its own, and packages from the index; else
            with the tools, the packages' cache and the bytecode that `make setup` has made.
        """
        for place in PLACES[1:]:
            (self.root / place[1:]).mkdir(parents=True)
        environment = dict(os.environ) | self.environment(0)
        if from_nothing:
            bare = self.root / "usr"
            await ended_well(sys.executable, "-m", "venv", str(bare), env=environment)
            environment["PATH"] = f"{bare}/bin:{os.environ['PATH']}"
        else:
            environment |= {"UV_OFFLINE": "1", "UV_NO_CACHE": "0", "UV_COMPILE_BYTECODE": "0"}
        for word, rest in self.stages[0]:
            if word == "COPY":
                self._copy(rest, self.root / "src")
            elif word == "RUN" and (from_nothing or rest.split()[1:4] != ["-m", "pip", "install"]):
                await ended_well(
                    "sh", "-c", self.here(rest), env=environment, cwd=self.root / "src"
                )
        for word, rest in self.stages[1]:
            if word == "COPY" and not rest.startswith("--from=build"):
                self._copy(self.here(rest), self.root)
        if not from_nothing:
            self._take_bytecode()

    def _take_bytecode(self) -> None:
        """Have the bytecode of packages, whose files come from one cache, with the same times."""
        for installed in (self.root / "opt/smart-audit/lib").glob("python*/site-packages"):
            for folder in filter(Path.is_dir, installed.rglob("*")):
                here = PACKAGES / folder.relative_to(installed) / "__pycache__"
                if here.is_dir():
                    (folder / "__pycache__").symlink_to(here)

    def _copy(self, rest: str, workdir: Path) -> None:
        *sources, target = rest.split()
        for source in sources:
            goal = workdir / target
            goal = goal / Path(source).name if len(sources) > 1 else goal
            for path in [ROOT / source, *sorted((ROOT / source).rglob("*"))]:
                relative = str(path.relative_to(ROOT))
                if (path.is_symlink() or path.is_file()) and is_sent(relative):
                    to = goal / path.relative_to(ROOT / source)
                    to.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(path, to, follow_symlinks=False)

    async def start(
        self, command: list[str] | None, changes: Mapping[str, str], log: Path
    ) -> asyncio.subprocess.Process:
        """Run the entry point, with the image's command or another."""
        words = json.loads(self.last["ENTRYPOINT"])
        words += command if command is not None else json.loads(self.last.get("CMD", "[]"))
        with log.open("ab") as output:
            return await asyncio.create_subprocess_exec(
                *map(self.here, words),
                env=self._running(changes),
                cwd=self.here(self.last["WORKDIR"]),
                stdout=output,
                stderr=output,
            )

    async def is_healthy(self, changes: Mapping[str, str]) -> bool:
        """What the HEALTHCHECK of the image says."""
        command = self.here(self.last["HEALTHCHECK"].partition("CMD ")[2])
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", command, env=self._running(changes), stderr=asyncio.subprocess.DEVNULL
        )
        return await process.wait() == 0

    def _running(self, changes: Mapping[str, str]) -> dict[str, str]:
        # As on the read-only root of a container.
        return {**self.environment(1), "PYTHONDONTWRITEBYTECODE": "1", **changes}

    def files(self) -> set[Path]:
        """All that is installed, and all that was written where a container may write."""
        return {path for place in PLACES[:3] for path in (self.root / place[1:]).rglob("*")}


async def ended_well(*command: str, env: Mapping[str, str], cwd: Path | None = None) -> None:
    """Run a command to its end, which must be a good one."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=env,
        cwd=cwd,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
