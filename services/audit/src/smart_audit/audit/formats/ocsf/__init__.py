"""Events in the Open Cybersecurity Schema Framework (docs/formats.md)."""

from smart_audit.audit.formats.ocsf.lines import Ocsf

__all__ = ["Ocsf"]
