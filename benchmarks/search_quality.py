"""`python -m benchmarks.search_quality`: how well questions in plain words are answered.

The whole system runs; the CloudTrail events are imported by the command line as users import them,
those of the products are recorded over the API, and each question is asked over the API. The
questions and what answers them: tests/data/search.
"""

import os

# The import is a process that is started beside channels that are open. Before grpc.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

import argparse
import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import uvloop

from benchmarks import search_baselines, search_questions
from benchmarks.search_questions import Figures
from benchmarks.system import System, User, running_system
from smart_audit.api.audit.v1 import audit_pb2, audit_pb2_grpc, search_pb2, search_pb2_grpc
from smart_audit.audit.domain import Outcome
from smart_audit.audit.meaning.phrases import PhraseKey
from smart_audit.audit.meaning.reasons import template
from smart_audit.stack.problem import Problem

CLOUDTRAIL = Path(__file__).parents[1] / "tests" / "data" / "cloudtrail" / "events.jsonl.gz"
HITS = 100
"""Events of an answer that are looked at for the first relevant one."""
_EMBEDDED = """
SELECT count(*) FROM audit.phrases AS kind WHERE organisation_id = %(log)s AND NOT EXISTS (
    SELECT FROM audit.phrase_vectors AS made
    WHERE made.organisation_id = kind.organisation_id AND made.phrase_id = kind.phrase_id)
"""
_WAIT_S = 60.0
_ASK_AGAIN_S = 0.2


@dataclass(frozen=True, slots=True)
class Line:
    """The figures of one file of questions."""

    name: str
    questions: int
    figures: dict[str, Figures]
    """By the way of searching."""


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, write JSON; 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search_quality")
    parser.add_argument("--out", type=Path, help="where to write the figures as JSON")
    options = parser.parse_args(arguments)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            lines = runner.run(_measure())
    except Problem as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    _print(lines)
    if options.out:
        options.out.write_text(json.dumps([asdict(line) for line in lines], indent=2))
    return 0


async def _measure() -> list[Line]:
    async with running_system() as system:
        cloud, products = await system.new_user(), await system.new_user()
        await asyncio.to_thread(_import, system, cloud)
        await _record(search_questions.product_kinds(), system, products)
        lines = [
            await _line(name, system, cloud)
            for name in ("given", "cloudtrail_dev", "cloudtrail_heldout")
        ]
        lines += [
            await _line(name, system, products) for name in ("products_dev", "products_heldout")
        ]
    return lines


def _import(system: System, user: User) -> None:
    """Import the CloudTrail events. Raises: Problem."""
    done = subprocess.run(
        [sys.executable, "-m", "smart_audit.cli", "import", "cloudtrail", str(CLOUDTRAIL)],
        env={
            **os.environ,
            "SMART_AUDIT_ADDRESS": f"localhost:{system.gateway_port}",
            "SMART_AUDIT_TOKEN": user.access_token,
        },
        capture_output=True,
        check=False,
        text=True,
    )
    if done.returncode:
        raise Problem(f"The import ended with {done.returncode}: {done.stderr.strip()}")


async def _record(kinds: Mapping[PhraseKey, int], system: System, user: User) -> None:
    stub: Any = audit_pb2_grpc.EventServiceStub(system.audit)
    events = [event for kind, count in kinds.items() for event in _events(kind, count)]
    for first in range(0, len(events), HITS):
        request = audit_pb2.RecordEventsRequest(events=events[first : first + HITS])
        await stub.RecordEvents(request, metadata=_token(user))


def _events(kind: PhraseKey, count: int) -> Iterator[audit_pb2.Event]:
    for number in range(count):
        targets = [audit_pb2.Target(id=f"t_{number}", type=type_) for type_ in kind.target_types]
        yield audit_pb2.Event(
            action=kind.action,
            actor=audit_pb2.Actor(id=f"u_{number}", type="user"),
            targets=targets,
            outcome=audit_pb2.Outcome.ValueType(kind.outcome),
            outcome_reason=kind.outcome_reason,
            source=kind.source,
        )


async def _line(name: str, system: System, user: User) -> Line:
    """Answer the questions of a file in each way."""
    print(f"asking {name} …", file=sys.stderr, flush=True)
    asked = search_questions.questions(name)
    kinds = await _kinds(system, user)
    await _embedded(system, user)
    answers = {one.query: await _search(one.query, system, user) for one in asked}
    figures = {
        "BM25": search_questions.figures(asked, kinds, search_baselines.bm25(kinds)),
        "word vectors": search_questions.figures(asked, kinds, search_baselines.nearest(kinds)),
        "SearchEvents": search_questions.figures(asked, kinds, answers.__getitem__),
    }
    return Line(name, len(asked), figures)


async def _kinds(system: System, user: User) -> Counter[PhraseKey]:
    """The kinds of event of a user's log, and how many events each has."""
    stub: Any = audit_pb2_grpc.EventServiceStub(system.audit)
    request = audit_pb2.ListEventsRequest(page_size=1000)
    found: Counter[PhraseKey] = Counter()
    while True:
        page = await stub.ListEvents(request, metadata=_token(user))
        found.update(map(_kind, page.events))
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


async def _search(query: str, system: System, user: User) -> Sequence[PhraseKey]:
    """The kinds of the first events of an answer."""
    stub: Any = search_pb2_grpc.SearchServiceStub(system.audit)
    request = search_pb2.SearchEventsRequest(
        query=query, page_size=HITS, grouping=search_pb2.GROUPING_NONE
    )
    answer = await stub.SearchEvents(request, metadata=_token(user))
    return [_kind(hit.event) for hit in answer.hits]


async def _embedded(system: System, user: User) -> None:
    """Wait until each kind of event has its vector, which is made beside the calls."""
    with system.connect() as connection:
        async with asyncio.timeout(_WAIT_S):
            while connection.execute(  # noqa: ASYNC110
                _EMBEDDED, {"log": UUID(user.organisation_id)}
            ).fetchone() != (0,):
                await asyncio.sleep(_ASK_AGAIN_S)


def _kind(event: audit_pb2.Event) -> PhraseKey:
    types = sorted({target.type for target in event.targets if target.type})
    return PhraseKey(
        event.action,
        tuple(types),
        Outcome(event.outcome),
        template(event.outcome_reason),
        event.source,
    )


def _token(user: User) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {user.access_token}"),)


def _print(lines: Sequence[Line]) -> None:
    ways = list(lines[0].figures)
    print(f"{'nDCG@10 / MRR':22}{'questions':>10}" + "".join(f"{way:>16}" for way in ways))
    for line in lines:
        cells = "".join(
            f"{line.figures[way].ndcg:>9.3f} /{line.figures[way].mrr:>5.2f}" for way in ways
        )
        print(f"{line.name:22}{line.questions:>10}{cells}")


if __name__ == "__main__":
    sys.exit(main())
