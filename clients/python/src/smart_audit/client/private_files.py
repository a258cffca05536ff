"""Files that only their owner may read, written as a whole or not at all."""

import os
import secrets
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter. Raises: OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def write(path: Path, text: str) -> None:
    """Replace a file; whoever reads meanwhile sees the old or the new. Raises: OSError."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
