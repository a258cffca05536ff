"""What waits in the queues of auth, for Prometheus."""

from prometheus_client import Gauge

from smart_audit.auth.repository import Work
from smart_audit.core.ids import utc_now

WAITING = Gauge("smart_audit_outbox_events", "Audit events that wait to be sent to audit.")
OLDEST = Gauge(
    "smart_audit_outbox_oldest_seconds", "How long ago the first of them was decided; 0 for none."
)
REFUSED = Gauge(
    "smart_audit_outbox_refused_events", "Audit events that audit refused, and that are kept."
)
QUEUED = Gauge("smart_audit_queue_entries", "What waits in a queue, due or put off.", ["queue"])


async def measure(work: Work) -> None:
    """Look once; every process of auth finds the same."""
    async with work.everywhere() as repositories:
        waiting = await repositories.outbox.waiting()
        mails = await repositories.mails.count()
        erasures = await repositories.erasures.count()
    WAITING.set(waiting.events)
    OLDEST.set((utc_now() - waiting.since).total_seconds() if waiting.since else 0)
    REFUSED.set(waiting.refused)
    QUEUED.labels("mails").set(mails)
    QUEUED.labels("erasures").set(erasures)
