"""What was found right is remembered in a file, outside of the database's reach."""

import os
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

import orjson
from platformdirs import user_state_path

from smart_audit.audit.integrity.kept import KeptCheckpoint
from smart_audit.audit.integrity.secrets import Secrets


def memory_of(secrets: Secrets) -> Path:
    """The file of an installation, in the user's state folder.

    It is named by the installation's key: whoever has the database cannot choose another, and a
    database that was restored elsewhere is still the same installation.
    """
    installation = secrets.wrapping.authenticate(b"installation")[:8].hex()
    return user_state_path("smart-audit") / "databases" / f"{installation}.json"


def remembered(path: Path) -> dict[UUID, KeptCheckpoint]:
    """The logs that are remembered; none as long as there is no file.

    Raises: RuntimeError when the file cannot be read.
    """
    try:
        content = orjson.loads(path.read_bytes())
        return {
            UUID(organisation): KeptCheckpoint(
                UUID(organisation), kept["size"], bytes.fromhex(kept["root"]), kept["checkpoints"]
            )
            for organisation, kept in content.items()
        }
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise RuntimeError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RuntimeError(
            f"{path} is damaged; put it back from a backup, or remove it to remember anew"
        ) from error


def remember(path: Path, logs: Mapping[UUID, KeptCheckpoint]) -> None:
    """Write the file in one step. Raises: RuntimeError."""
    content = {
        str(organisation): {
            "size": kept.size,
            "root": kept.root.hex(),
            "checkpoints": kept.checkpoints,
        }
        for organisation, kept in logs.items()
    }
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
        draft.chmod(0o600)
        draft.replace(path)
    except OSError as error:
        raise RuntimeError(f"cannot write {path}: {error.strerror}") from error
