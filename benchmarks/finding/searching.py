"""Search by meaning: how fast, and how many of the best answers are among those that are found."""

from random import Random
from statistics import mean

from benchmarks.finding.large_log import LargeLog
from benchmarks.finding.lines import Line, Times
from smart_audit.api.audit.v1 import search_pb2
from smart_audit.audit.domain import Outcome
from smart_audit.audit.meaning.kind_table import KindTable
from smart_audit.audit.meaning.phrases import Phrase, PhraseId
from smart_audit.audit.meaning.ranking import Ranker

GOAL_MS = 50
RECALL_GOAL = 0.95
TOP = 10
CALL = "SearchService/SearchEvents"
QUESTIONS = (
    "who deleted a document",
    "failed exports of datasets",
    "people who were not allowed to read secrets",
    "invoice approved",
    "someone turned off a firewall rule",
    "new members invited to a team",
    "a key was rotated",
    "restored a backup of the database",
    "quota exceeded while uploading files",
    "certificates that were revoked",
    "shared a folder with another user",
    "deployment was rolled out",
    "suspended account tried to sign in",
    "access outside office hours",
    "merged branches of a repository",
    "downloaded customer data",
    "changed a role or a permission",
    "lost connection while syncing a calendar",
    "payments refunded",
    "locked vault",
)
PHRASES = """
SELECT phrase_id, action, target_types, outcome, outcome_reason, source, text
FROM audit.phrases WHERE organisation_id = %s
"""


async def measure(log: LargeLog, rounds: int) -> list[Line]:
    """Each question once a round, in another order each time; then against the exact ranking."""
    call, times, random = log.call(CALL), Times(), Random(9)
    recalls: dict[str, object] = {}
    ranker = Ranker()
    kinds = ranker.table_now(_kinds(log))
    for question in QUESTIONS:
        answer = search_pb2.SearchEventsResponse.FromString(await call(_request(question)))
        found = {int(hit.group.kind) for hit in answer.hits}
        recalls[question] = _recall(found, answer.ranked_by, kinds, ranker)
    for _ in range(rounds):
        for question in random.sample(QUESTIONS, len(QUESTIONS)):
            request = _request(question)
            await times.measure(question, lambda request=request: call(request))  # type: ignore[misc]
    recall = mean(value for value in recalls.values() if isinstance(value, float))
    details = recalls | {"kinds": len(kinds)}
    name = f"recall@{TOP} of the exact ranking"
    return [
        times.line("search", GOAL_MS),
        Line(name, "of 1, mean", recall, RECALL_GOAL, least=True, details=details),
    ]


def _request(question: str) -> bytes:
    return search_pb2.SearchEventsRequest(query=question, page_size=TOP).SerializeToString()


def _recall(found: set[int], question: str, kinds: KindTable, ranker: Ranker) -> float:
    """The part of the best kinds, by a ranking of all of them, that is among those found.

    A kind that is as good as the last of the best is one of them.
    """
    ranked = ranker.rank_now(question, kinds)
    last = ranked[:TOP][-1].score
    good = {one.id for one in ranked if one.score >= last}
    return len(found & good) / min(TOP, len(ranked))


def _kinds(log: LargeLog) -> list[Phrase]:
    with log.system.connect() as connection:
        rows = connection.execute(PHRASES, [log.user.organisation_id]).fetchall()
    return [
        Phrase(PhraseId(id_), action, tuple(types), Outcome(outcome), *rest)
        for id_, action, types, outcome, *rest in rows
    ]
