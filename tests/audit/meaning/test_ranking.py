"""How kinds of event are ranked, in small."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_audit.audit.domain import Outcome
from smart_audit.audit.meaning import rendering
from smart_audit.audit.meaning.phrases import PhraseKey, phrase
from smart_audit.audit.meaning.question import ask, search_words
from smart_audit.audit.meaning.ranking import Ranker

RANKER = Ranker()


@pytest.fixture
def ranker() -> Ranker:
    return RANKER


def kinds(*actions, outcome=Outcome.SUCCESS):
    return [phrase(PhraseKey(action, (), outcome, "", "")) for action in actions]


def rank(ranker, query, phrases, *nearness):
    return ranker.rank_now(query, ranker.table_now(phrases), *nearness)


def best(ranker, query, phrases):
    names = {one.id: one.action for one in phrases}
    return names[rank(ranker, query, phrases)[0].id]


@pytest.mark.parametrize(
    ("query", "answer", "others"),
    [
        ("lorry painted", "lorry.paint", ["lorry.drive", "wall.paint"]),  # no known word
        ("the account was removed", "user.delete", ["user.create", "user.view"]),
        ("the account was set up", "user.create", ["user.delete", "user.view"]),
        ("machine switched off", "vm.stop", ["vm.start", "vm.resize"]),
        ("role bindings", "clusterrolebindings.list", ["pods.list", "roles.list"]),
        ("list groups", "iam.ListGroups", ["iam.ListGroupPolicies", "iam.ListUsers"]),
    ],
)
def test_the_kind_that_was_asked_for_comes_first(query, answer, others, ranker):
    assert best(ranker, query, kinds(*others, answer)) == answer


@pytest.mark.parametrize(
    ("query", "outcome"),
    [("login failed", Outcome.FAILURE), ("login not allowed", Outcome.DENIED)],
)
def test_how_it_ended_is_part_of_the_question(query, outcome, ranker):
    each = [kinds("auth.login", outcome=one)[0] for one in Outcome]

    first = rank(ranker, query, each)[0].id

    assert first == kinds("auth.login", outcome=outcome)[0].id


def test_what_an_event_type_says_is_found(ranker):
    plain, told = kinds("zx.q1", "zx.q2")
    told = told._replace(text=rendering.described(told.text, "Pay slip corrected", ""))

    (first, *_) = rank(ranker, "who corrected a pay slip", [plain, told])

    assert first.id == told.id
    assert {match.asked for match in first.why} >= {"corrected"}


def test_it_is_told_what_matched(ranker):
    (first, *_) = rank(ranker, "bucket removed", kinds("s3.DeleteBucket", "s3.CreateBucket"))

    assert [(match.asked, match.found) for match in first.why] == [
        ("bucket", "bucket"),
        ("removed", "delet"),
    ]


def test_another_models_nearness_is_used(ranker):
    phrases = kinds("a.one", "a.two")

    (first, *_) = rank(ranker, "zzz", phrases, {phrases[1].id: 0.9, phrases[0].id: 0.1})

    assert first.id == phrases[1].id


async def test_a_question_without_a_word_ranks_all_the_same(ranker):
    table = await ranker.table(kinds("a.b", "c.d"))
    assert len(await ranker.rank("?!", table)) == 2
    assert await ranker.rank("delete", await ranker.table([])) == []


@given(st.text(max_size=80))
def test_any_question_gives_all_kinds_in_order(query):
    phrases = kinds("document.delete", "iam.CreateUser", "x", "to.be")

    ranked = rank(RANKER, query, phrases)

    assert {one.id for one in ranked} == {one.id for one in phrases}
    assert sorted((one.score for one in ranked), reverse=True) == [one.score for one in ranked]
    assert all(0 <= one.score <= 1 for one in ranked)


def test_the_order_does_not_depend_on_that_of_the_candidates(ranker):
    phrases = kinds("a.delete", "b.delete", "c.delete", "d.view")

    there = [one.id for one in rank(ranker, "something deleted", phrases)]
    back = [one.id for one in rank(ranker, "something deleted", phrases[::-1])]

    assert there == back


def test_candidates_are_found_by_words_that_mean_the_same():
    words = search_words("who removed the vm")

    assert words[:2] == ["removed", "vm"]
    assert {"delet", "instanc", "virtual machin"} <= set(words)


def test_a_participle_before_a_noun_is_no_operation():
    assert [one.is_operation for one in ask("read a stored secret")] == [True, False, False]
