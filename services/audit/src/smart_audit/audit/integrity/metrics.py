"""What the verification in the background counts."""

from prometheus_client import Counter, Gauge

FINDINGS = Counter(
    "smart_audit_integrity_findings",
    "What the verification of the database has found, again in each run.",
)
ENTRIES = Counter(
    "smart_audit_integrity_entries_verified",
    "Entries of logs that the verification of the database has gone over.",
)
LAST_RUN = Gauge(
    "smart_audit_integrity_last_complete_run_timestamp_seconds",
    "When the database was last verified from its start to its end; 0 if never by this process.",
)
