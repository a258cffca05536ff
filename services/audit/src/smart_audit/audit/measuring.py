"""How much the logs hold, and how far search is behind, for Prometheus.

All logs together: a label for each organisation would be a time series for each.
"""

from prometheus_client import Gauge

from smart_audit.audit.repository import Database
from smart_audit.audit.repository.growth import growth
from smart_audit.core.ids import utc_now

LOGS = Gauge("smart_audit_logs", "Logs that have an entry.")
ENTRIES = Gauge("smart_audit_log_entries", "Entries of all logs.")
LAG = Gauge("smart_audit_projector_lag_entries", "Entries of all logs that search does not know.")
LAG_SECONDS = Gauge(
    "smart_audit_projector_lag_seconds", "How long ago the oldest of them was recorded; 0 for none."
)


async def measure(database: Database) -> None:
    """Look once; every process of audit finds the same."""
    async with database.everywhere() as connection:
        found = await growth(connection)
    LOGS.set(found.logs)
    ENTRIES.set(found.entries)
    LAG.set(found.unprojected)
    since = found.unprojected_since
    LAG_SECONDS.set(max((utc_now() - since).total_seconds(), 0) if since else 0)
