"""Events as products send them: about 360 bytes of protobuf, the same in each run but for ids."""

import itertools
from random import Random

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.core.ids import new_id, utc_now

ACTIONS = (
    "document.view",
    "document.update",
    "document.share",
    "document.delete",
    "invoice.approve",
    "member.invite",
    "member.role.change",
    "api_key.create",
    "export.download",
)
OUTCOMES = (audit_pb2.OUTCOME_SUCCESS, audit_pb2.OUTCOME_FAILURE, audit_pb2.OUTCOME_DENIED)
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
ACTORS, TARGETS = 200, 5_000


class EventMaker:
    """Makes events, each with an id of its own, as a caller does who wants to retry safely."""

    def __init__(self) -> None:
        self._random = Random(20)
        self._numbers = itertools.count()

    def events(self, count: int) -> list[audit_pb2.Event]:
        """The next events."""
        return [self._event() for _ in range(count)]

    def _event(self) -> audit_pb2.Event:
        random = self._random
        actor, target = random.randrange(ACTORS), random.randrange(TARGETS)
        event = audit_pb2.Event(
            id=str(new_id()),
            action=random.choice(ACTIONS),
            actor=audit_pb2.Actor(
                id=f"user-{actor:06}", name=f"Ada {actor}", email=f"ada.{actor}@example.com"
            ),
            targets=[
                audit_pb2.Target(
                    id=f"document-{target:08}", type="document", name=f"Quarterly report {target}"
                )
            ],
            outcome=random.choices(OUTCOMES, [95, 3, 2])[0],
            source="billing-api",
            source_address=f"203.0.113.{actor}",
            user_agent=BROWSER,
        )
        event.occurred_at.FromDatetime(utc_now())
        event.metadata.update(
            {
                "request": f"req-{next(self._numbers):012}",
                "plan": "team",
                "region": "eu-central-1",
                "bytes": target * 37,
            }
        )
        return event
