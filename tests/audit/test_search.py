"""Questions in words find events, and what they name is a filter that can be seen and removed."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from smart_audit.api.audit.v1 import audit_pb2, governance_pb2, search_pb2
from smart_audit.audit.rebuilding import rebuild_search
from smart_audit.audit.settings import AuditSettings
from smart_audit.audit.use_cases import known_kinds
from tests.support.events import event, record, record_batch, settled
from tests.support.world import refusal, running_world

PERSON = search_pb2.INTERPRETATION_KIND_PERSON
TIME = search_pb2.INTERPRETATION_KIND_TIME
ADDRESS = search_pb2.INTERPRETATION_KIND_ADDRESS
NONE = search_pb2.GROUPING_NONE
BOB = audit_pb2.Actor(id="u_2", name="Robert Brown", email="bob@b.test")
NOW = datetime.now(UTC)


def happened(message, moment):
    message.occurred_at.FromDatetime(moment)
    return message


def messages():
    """A few kinds of event, one of them often."""
    return [
        *(happened(event(action="document.delete"), NOW - timedelta(days=d)) for d in range(1, 5)),
        happened(event(action="document.delete", actor=BOB), NOW - timedelta(hours=1)),
        event(
            action="secret.read",
            actor=BOB,
            targets=[audit_pb2.Target(id="s_1", type="secret", name="Payroll")],
            source_address="198.51.100.9",
        ),
        event(action="payment.refund", metadata={"invoice": "INV-2041"}),
        event(action="firewall.rule.create", metadata={"region": "eu-north-9"}),
        event(action="role.assign", outcome=audit_pb2.OUTCOME_DENIED),
    ]


async def who_did_all(world):
    user = await world.new_user(first_name="Grace")
    await settled(world, user)
    await record_batch(world, user, messages())
    return user


@pytest.fixture(scope="module")
async def user(world):
    return await who_did_all(world)


async def ask(world, user, query, **request):
    return await world.search.SearchEvents(
        search_pb2.SearchEventsRequest(query=query, **request), metadata=user.metadata
    )


async def embedded(world, user):
    """Wait until each kind of event has its vector."""
    lacking = (
        "SELECT count(*) FROM audit.phrases LEFT JOIN audit.phrase_vectors USING"
        " (organisation_id, phrase_id) WHERE organisation_id = %s AND vector IS NULL"
    )

    def read():
        with world.database.connect() as connection:
            return connection.execute(lacking, [user.organisation_id]).fetchone()[0]

    async with asyncio.timeout(20):
        while await asyncio.to_thread(read):
            await asyncio.sleep(0.02)


def actions(answer):
    return [hit.event.action for hit in answer.hits]


def interpreted(answer):
    return [(one.text, one.filter) for one in answer.interpreted_as]


async def test_a_question_in_other_words_finds_the_kind_of_event_first(world, user):
    answer = await ask(world, user, "who removed a file")
    best = answer.hits[0]
    assert best.event.action == "document.delete"
    assert best.event.actor.name == "Robert Brown", "the newest stands for its kind"
    assert (best.group.count, best.group.more) == (5, False)
    assert best.group.last_occurred_at == best.event.occurred_at
    first = best.group.first_occurred_at.ToDatetime(UTC)
    assert abs(first - (NOW - timedelta(days=4))) < timedelta(milliseconds=1)
    assert [(why.word_of_kind.asked, why.word_of_kind.found) for why in best.why] == [
        ("removed", "delet"),
        ("file", "document"),
    ]
    assert answer.interpreted_as == []
    assert answer.searched_size >= 9


async def test_a_group_is_expanded_by_its_filter(world, user):
    group = (await ask(world, user, "documents deleted")).hits[0].group
    answer = await ask(world, user, "documents deleted", filter=group.filter, grouping=NONE)
    found = [hit.event.id for hit in answer.hits]
    assert len(found) == group.count == 5
    assert all(not hit.HasField("group") for hit in answer.hits)
    listed = await world.events.ListEvents(
        audit_pb2.ListEventsRequest(filter=group.filter), metadata=user.metadata
    )
    assert found == [one.id for one in listed.events]
    times = [hit.event.occurred_at.ToDatetime() for hit in answer.hits]
    assert times == sorted(times, reverse=True), "the newest first among equals"


async def test_what_a_question_names_is_a_filter_and_can_be_removed(world, user):
    query = "documents deleted by Robert Brown in the last 3 hours"
    answer = await ask(world, user, query)
    person, time = answer.interpreted_as
    assert (person.kind, person.text) == (PERSON, "by Robert Brown")
    assert query[person.start : person.end] == person.text
    assert (time.kind, time.text) == (TIME, "in the last 3 hours")
    assert answer.ranked_by == "documents deleted"
    assert (answer.hits[0].event.action, answer.hits[0].group.count) == ("document.delete", 1)
    assert {one.event.actor.id for one in answer.hits} == {"u_2"}
    assert person.filter in [why.filter for why in answer.hits[0].why]

    without = await ask(world, user, query, ignored_interpretations=["by  robert brown", time.text])
    assert without.interpreted_as == []
    assert without.ranked_by == query
    literal = await ask(world, user, query, literal=True)
    assert literal.interpreted_as == []
    assert actions(literal)[0] == "document.delete"


@pytest.mark.parametrize(
    ("query", "found", "filters"),
    [
        ("from 198.51.100.9", ["secret.read"], ['source_address="198.51.100.9"']),
        ("by bob@b.test", ["secret.read", "document.delete"], None),
        ("on s_1", ["secret.read"], ['target.id="s_1"']),
        ("by Robert", ["secret.read", "document.delete"], None),
        ("INV-2041", ["payment.refund"], ['"INV-2041" AND NOT action="audit.event.*"']),
        ("eu-north-9", ["firewall.rule.create"], ['"eu-north-9" AND NOT action="audit.event.*"']),
        ("outcome denied", ["role.assign"], ["outcome=DENIED"]),
        ("by nobody@b.test", [], None),
        ("from 203.0.113.77", [], None),
    ],
)
async def test_a_question_of_filters_alone_finds_the_newest_first(
    world, user, query, found, filters
):
    answer = await ask(world, user, query)
    assert actions(answer) == found
    assert answer.ranked_by == ""
    if filters is not None:
        assert [one.filter for one in answer.interpreted_as] == filters


async def test_a_name_that_the_log_does_not_know_is_words(world, user):
    answer = await ask(world, user, "documents deleted by Zebedee Quux")
    assert answer.interpreted_as == []
    assert actions(answer)[0] == "document.delete"


async def test_a_word_that_only_an_event_has_finds_it(world, user):
    answer = await ask(world, user, "payroll", literal=True)
    assert actions(answer)[0] == "secret.read"
    assert answer.hits[0].why[0].word_of_event == "payroll"


async def test_the_filter_of_the_request_is_kept_to(world, user):
    answer = await ask(world, user, "documents deleted", filter='actor.id="u_2"')
    assert {hit.event.actor.id for hit in answer.hits} == {"u_2"}
    assert (answer.hits[0].event.action, answer.hits[0].group.count) == ("document.delete", 1)
    assert answer.filter == 'actor.id="u_2"'


async def test_dates_that_may_be_two_are_told(world, user):
    (one,) = (await ask(world, user, "documents deleted on 10/7")).interpreted_as
    assert one.kind == search_pb2.INTERPRETATION_KIND_AMBIGUOUS
    assert (one.text, one.filter) == ("10/7", "")
    assert "2026-07-10" in one.note


async def test_pages_go_on_although_events_arrive(world):
    user = await world.new_user()
    doors = [event(action=f"door.n{n}.open") for n in range(7)]
    await record_batch(world, user, doors)
    await embedded(world, user)
    question = {"query": "door opened", "grouping": NONE, "filter": 'source="editor"'}
    answer = first = await ask(world, user, page_size=3, **question)
    await record_batch(world, user, [event(action=f"door.n{n}.open") for n in range(3)])
    found = list(first.hits)
    while answer.next_page_token:
        token = answer.next_page_token
        answer = await ask(world, user, page_size=3, page_token=token, **question)
        assert answer.searched_size == first.searched_size
        found += answer.hits
    assert sorted(hit.event.id for hit in found) == sorted(one.id for one in doors)

    token = first.next_page_token
    other = await refusal(ask(world, user, "door closed", page_token=token))
    assert other.reason == "PAGE_TOKEN_INVALID"
    stranger = await world.new_user()
    foreign = await refusal(ask(world, stranger, page_token=token, **question))
    assert foreign.reason == "PAGE_TOKEN_INVALID"


async def test_a_kind_that_is_new_is_found_by_the_next_question(world):
    user = await world.new_user()
    await record(world, user, event(action="document.delete"))
    assert actions(await ask(world, user, "who removed a file"))[0] == "document.delete"
    await record(world, user, event(action="secret.read"))
    assert actions(await ask(world, user, "secrets that were read"))[0] == "secret.read"
    assert actions(await ask(world, user, "who removed a file"))[0] == "document.delete"


async def test_more_kinds_than_memory_holds_are_ranked_all_the_same(cluster, monkeypatch):
    monkeypatch.setattr(known_kinds, "MOST_OF_A_LOG", 2)
    async with running_world(cluster.new_database()) as world:
        user = await who_did_all(world)
        await embedded(world, user)
        for query in ("who removed a file", "refunds", "secrets that were read"):
            assert (await ask(world, user, query)).hits, query
        assert actions(await ask(world, user, "who removed a file"))[0] == "document.delete"
        # A word that no kind of event has.
        found = await ask(world, user, "what about INV-2041")
        assert actions(found)[0] == "payment.refund"


async def test_another_organisation_finds_nothing(world, user):
    other = await world.new_user()
    answer = await ask(world, other, "documents deleted by Robert Brown")
    assert "document.delete" not in actions(answer)
    assert answer.interpreted_as == []
    assert (await ask(world, other, "from 198.51.100.9")).hits == []


async def test_who_is_erased_is_not_found_by_name(world):
    user = await world.new_user()
    await record(world, user, event(actor={"id": "u_8", "name": "Sofya Kovalevskaya"}))
    (found,) = (await ask(world, user, "by Sofya Kovalevskaya")).hits
    assert found.event.actor.id == "u_8"
    await world.governance.EraseSubject(
        governance_pb2.EraseSubjectRequest(
            subject=governance_pb2.Subject(type="user", id="u_8"), reason="asked for it"
        ),
        metadata=user.metadata,
    )
    answer = await ask(world, user, "by Sofya Kovalevskaya")
    assert answer.interpreted_as == []
    literal = await ask(world, user, "Sofya Kovalevskaya", literal=True)
    reasons = [why for hit in literal.hits for why in hit.why]
    assert not any(why.word_of_event for why in reasons)


@pytest.mark.parametrize(
    "query",
    [
        "'; DROP TABLE audit.phrases; --",
        "%' OR '1'='1",
        "a | b & !c <-> (d",
        ":* & 'x' \\",
        "{}[]()*?+",
        'action="x" OR actor.id="*',
        "\u202e\u0000".replace("\u0000", "") + "ÄÖ 漢字 🦊",
        "word " * 199,
        "A" * 1000,
        "Ada Bob " * 120,
        "on 10 July " * 90,
    ],
)
async def test_strange_questions_break_nothing(world, user, query):
    assert (await ask(world, user, query)).searched_size >= 9


@pytest.mark.parametrize(
    ("request_", "reason", "field"),
    [
        ({"query": ""}, "INVALID_ARGUMENT", "query"),
        ({"query": "x" * 1001}, "INVALID_ARGUMENT", "query"),
        ({"query": "x", "page_size": -1}, "INVALID_ARGUMENT", "page_size"),
        ({"query": "x", "time_zone": "Moon/Crater"}, "INVALID_ARGUMENT", "time_zone"),
        ({"query": "x", "time_zone": "../../etc/passwd"}, "INVALID_ARGUMENT", "time_zone"),
        ({"query": "x", "page_token": "!!"}, "PAGE_TOKEN_INVALID", "page_token"),
        ({"query": "x", "page_token": "WzEsMl0="}, "PAGE_TOKEN_INVALID", "page_token"),
        ({"query": "x", "filter": "action="}, "FILTER_INVALID", "filter"),
    ],
)
async def test_what_is_wrong_is_named(world, user, request_, reason, field):
    refused = await refusal(ask(world, user, **request_))
    assert refused.reason == reason
    assert list(refused.fields) == [field]


async def test_a_projection_made_anew_answers_the_same(cluster):
    def stripped(answer):
        return [(hit.event.id, hit.group.count, hit.group.kind) for hit in answer.hits]

    # All logs of a database are projected anew: here, one.
    async with running_world(cluster.new_database()) as world:
        user = await who_did_all(world)
        await embedded(world, user)
        question = {"query": "secrets that were read", "filter": 'source="editor"'}
        before = await ask(world, user, **question)
        await rebuild_search(AuditSettings(database_url=world.database.service_url("audit")))
        assert stripped(await ask(world, user, **question)) == stripped(before)
