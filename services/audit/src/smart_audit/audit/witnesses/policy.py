"""The witnesses of an installation: a C2SP tlog-policy file whose witness lines have a URL."""

from pathlib import Path
from urllib.parse import urlsplit

from smart_audit.tlog.policy import Policy, PolicyError

SETTING = "AUDIT_WITNESS_POLICY_FILE"


def read_policy(path: Path | None) -> Policy | None:
    """Read the policy file, if one is set. Raises: RuntimeError, one sentence."""
    if path is None:
        return None
    try:
        policy = Policy.parse(path.read_bytes())
        for witness in policy.witnesses:
            _require_url(witness.name, witness.url)
    except PolicyError as error:
        raise RuntimeError(f"{SETTING}: {path}: {error}") from error
    except OSError as error:
        raise RuntimeError(f"{SETTING}: {path} cannot be read: {error.strerror}") from error
    return policy


def _require_url(name: str, url: str | None) -> None:
    """Raises: PolicyError."""
    if url is None:
        raise PolicyError(f"witness {name} has no URL: write it behind the key")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        # It would end up in logs.
        usable = usable and "@" not in parts.netloc
    except ValueError:
        usable = False
    if not usable or "?" in url or "#" in url:
        raise PolicyError(f"witness {name}: {url} is not a URL such as https://witness.example/")
