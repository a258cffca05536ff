"""The queries of audit. They see one organisation: row-level security hides all others."""

from smart_audit.audit.repository.database import Database
from smart_audit.audit.repository.log_reader import LogReader

__all__ = ["Database", "LogReader"]
