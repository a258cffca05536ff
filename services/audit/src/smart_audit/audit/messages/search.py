"""Searches, between protobuf and the domain."""

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from smart_audit.api.audit.v1 import search_pb2
from smart_audit.audit.domain import OrganisationId
from smart_audit.audit.errors import PageTokenInvalid
from smart_audit.audit.filters import parse_filter
from smart_audit.audit.meaning.phrases import Phrase
from smart_audit.audit.messages.events import from_recorded
from smart_audit.audit.messages.times import EPOCH, timestamp
from smart_audit.audit.questions.readings import Interpretation
from smart_audit.audit.repository.event_search import Count
from smart_audit.audit.use_cases.search_events import (
    MAX_COUNT,
    MAX_HITS,
    Answer,
    Hit,
    Search,
)
from smart_audit.core.errors import InvalidArgument

DEFAULT_PAGE_SIZE: Final = 10
MAX_PAGE_SIZE: Final = 100
MAX_NUMBER: Final = 2**63


class _Page(NamedTuple):
    """Where a page begins, and what the first one has searched."""

    now: datetime
    size: int | None = None
    offset: int = 0


def to_search(
    request: search_pb2.SearchEventsRequest, now: datetime, organisation_id: OrganisationId
) -> Search:
    """What is searched for. Raises: FilterInvalid, PageTokenInvalid, InvalidArgument."""
    page = _page(request, now, organisation_id)
    return Search(
        query=request.query,
        filter=parse_filter(request.filter),
        zone=_zone(request.time_zone),
        now=page.now,
        limit=min(request.page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE),
        offset=page.offset,
        size=page.size,
        grouped=request.grouping != search_pb2.GROUPING_NONE,
        literal=request.literal,
        ignored=tuple(request.ignored_interpretations),
    )


def from_answer(
    answer: Answer,
    search: Search,
    request: search_pb2.SearchEventsRequest,
    organisation_id: OrganisationId,
) -> search_pb2.SearchEventsResponse:
    """One page of answers."""
    return search_pb2.SearchEventsResponse(
        hits=[_hit(hit, answer) for hit in answer.hits],
        next_page_token=_token(answer, search, _fingerprint(request, organisation_id)),
        interpreted_as=[_interpretation(one) for one in answer.interpreted],
        ranked_by=answer.ranked_by,
        filter="" if answer.filter is None else str(answer.filter),
        searched_size=answer.size,
    )


def _hit(hit: Hit, answer: Answer) -> search_pb2.SearchHit:
    message = search_pb2.SearchHit(
        event=from_recorded(hit.recorded), score=hit.found.score, why=_why(hit, answer)
    )
    if hit.count is not None:
        message.group.CopyFrom(_group(hit.phrase, hit.count))
    return message


def _group(phrase: Phrase, count: Count) -> search_pb2.EventGroup:
    more = count.events > MAX_COUNT
    group = search_pb2.EventGroup(
        kind=str(phrase.id),
        text=phrase.text,
        count=min(count.events, MAX_COUNT),
        more=more,
        last_occurred_at=timestamp(count.last_occurred_at),
        filter=f"kind={phrase.id}",
    )
    if not more:
        group.first_occurred_at.CopyFrom(timestamp(count.first_occurred_at))
    return group


def _why(hit: Hit, answer: Answer) -> Iterator[search_pb2.Why]:
    """The strongest reason first."""
    for word in hit.found.words:
        yield search_pb2.Why(word_of_event=word)
    matches = hit.found.kind.why if hit.found.kind else ()
    for match in matches:
        yield search_pb2.Why(
            word_of_kind=search_pb2.WordMatch(
                asked=match.asked, found=match.found, strength=match.strength
            )
        )
    if hit.found.kind is not None and not matches:
        yield search_pb2.Why(meaning=hit.phrase.text)
    for one in answer.interpreted:
        if one.filter:
            yield search_pb2.Why(filter=one.filter)


def _interpretation(one: Interpretation) -> search_pb2.Interpretation:
    return search_pb2.Interpretation(
        text=one.text,
        start=one.start,
        end=one.end,
        filter=one.filter,
        kind=search_pb2.InterpretationKind.ValueType(one.kind),
        note=one.note,
    )


def _zone(name: str) -> tzinfo:
    """Raises: InvalidArgument."""
    try:
        # An absolute path or one with ".." is no key: ZoneInfo refuses it.
        return ZoneInfo(name) if name else UTC
    except (ValueError, OSError, LookupError) as error:
        what = 'is no time zone; use a name such as "Europe/Berlin", or leave it empty for UTC'
        raise InvalidArgument(f"time_zone {what}", fields={"time_zone": what}) from error


def _page(
    request: search_pb2.SearchEventsRequest, now: datetime, organisation_id: OrganisationId
) -> _Page:
    """Raises: PageTokenInvalid."""
    if not request.page_token:
        return _Page(now)
    try:
        content = orjson.loads(base64.b64decode(request.page_token, altchars=b"-_", validate=True))
        fingerprint, microseconds, size, offset = content
        if not (0 <= int(size) < MAX_NUMBER and 0 <= int(offset) < MAX_HITS):
            raise ValueError("no such page")  # noqa: TRY301
        page = _Page(EPOCH + timedelta(microseconds=int(microseconds)), int(size), int(offset))
    except (ValueError, TypeError, OverflowError) as error:
        raise _bad_token("is not a page token; start again without one") from error
    if fingerprint != _fingerprint(request, organisation_id):
        raise _bad_token("belongs to another search; start again without one")
    return page


def _token(answer: Answer, search: Search, fingerprint: str) -> str:
    """The token of the next page; empty on the last. It names a place and gives no right."""
    if answer.end is None:
        return ""
    microseconds = (search.now - EPOCH) // datetime.resolution
    content = [fingerprint, microseconds, answer.size, answer.end]
    return base64.urlsafe_b64encode(orjson.dumps(content)).decode()


def _fingerprint(request: search_pb2.SearchEventsRequest, organisation_id: OrganisationId) -> str:
    """What must stay the same from page to page: the log, and everything but the page."""
    search = search_pb2.SearchEventsRequest()
    search.CopyFrom(request)
    search.ClearField("page_token")
    search.ClearField("page_size")
    content = organisation_id.bytes + search.SerializeToString(deterministic=True)
    return hashlib.sha256(content).hexdigest()[:16]


def _bad_token(what: str) -> PageTokenInvalid:
    return PageTokenInvalid(f"page_token {what}", fields={"page_token": what})
