"""The kinds of event of one log, and their vectors."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from pgvector import HalfVector
from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import Row, Select, cast, delete, exists, func, literal, select, update
from sqlalchemy.dialects.postgresql import TSQUERY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.audit.domain import OrganisationId, Outcome
from smart_audit.audit.meaning.phrases import Phrase, PhraseId
from smart_audit.audit.tables import phrase_vectors, phrases

Vector = npt.NDArray[np.float32]
"""The meaning of a text; of length 1, so that the inner product is the cosine."""

EF_SEARCH = 200
"""How many neighbours the index looks at, at least."""
MAX_DIMENSIONS = 4000
"""Of a halfvec in an HNSW index. Source: pgvector."""


_RUN: Final = re.compile(r"[^\W_]+")


PHRASES: Select[Any] = select(
    phrases.c.phrase_id,
    phrases.c.action,
    phrases.c.target_types,
    phrases.c.outcome,
    phrases.c.outcome_reason,
    phrases.c.source,
    phrases.c.text,
)


class PhraseText(NamedTuple):
    """What is embedded of a phrase."""

    id: PhraseId
    text: str


class PhraseStore:
    """The kinds of event of one log, in one transaction."""

    def __init__(self, connection: AsyncConnection, organisation_id: OrganisationId) -> None:
        self._connection = connection
        self._organisation_id = organisation_id

    async def vectors_by_model(self) -> dict[str, int]:
        """How many kinds have a vector, by model."""
        statement = (
            select(phrase_vectors.c.model, func.count())
            .where(phrase_vectors.c.organisation_id == self._organisation_id)
            .group_by(phrase_vectors.c.model)
        )
        return {row[0]: row[1] for row in await self._connection.execute(statement)}

    async def nearness(
        self, model: str, vector: Vector, ids: Collection[PhraseId] | None
    ) -> dict[PhraseId, float]:
        """The cosines of a vector and those of kinds, as far as they have one.

        ids: None for all kinds.
        """
        distance = phrase_vectors.c.vector.max_inner_product(HalfVector(vector))
        statement = select(phrase_vectors.c.phrase_id, distance.label("distance")).where(
            phrase_vectors.c.organisation_id == self._organisation_id,
            phrase_vectors.c.model == model,
        )
        if ids is not None:
            statement = statement.where(phrase_vectors.c.phrase_id.in_(list(ids)))
        rows = await self._connection.execute(statement)
        return {PhraseId(row.phrase_id): -row.distance for row in rows}

    async def nearest(self, model: str, vector: Vector, limit: int) -> list[PhraseId]:
        """The kinds whose meaning is nearest to a vector, the nearest first.

        It looks along an index, which logs share.
        """
        await self._look_along_index(limit)
        indexed = cast(phrase_vectors.c.vector, HALFVEC(len(vector)))
        statement = (
            select(phrase_vectors.c.phrase_id)
            .where(
                phrase_vectors.c.organisation_id == self._organisation_id,
                # The index is one of those of the model, so that its name stands in the statement.
                phrase_vectors.c.model == literal(model, literal_execute=True),
            )
            .order_by(indexed.max_inner_product(HalfVector(vector)))
        )
        return [PhraseId(one) for one in await self._connection.scalars(statement.limit(limit))]

    async def with_words(self, words: Sequence[str], limit: int) -> list[PhraseId]:
        """The kinds that have any of these words, or all words of one, most of them first."""
        query = _any_of(words)
        if not query:
            return []
        wanted = func.to_tsquery("english", query, type_=TSQUERY)
        statement = (
            select(phrases.c.phrase_id)
            .where(
                phrases.c.organisation_id == self._organisation_id,
                phrases.c.words.bool_op("@@")(wanted),
            )
            .order_by(func.ts_rank(phrases.c.words, wanted).desc(), phrases.c.phrase_id)
            .limit(limit)
        )
        return [PhraseId(one) for one in await self._connection.scalars(statement)]

    async def get(self, ids: Collection[PhraseId]) -> dict[PhraseId, Phrase]:
        """Kinds by their ids."""
        statement = PHRASES.where(
            phrases.c.organisation_id == self._organisation_id, phrases.c.phrase_id.in_(list(ids))
        )
        rows = await self._connection.execute(statement)
        return {PhraseId(row.phrase_id): _phrase(row) for row in rows}

    async def of_actions(self, actions: Collection[str]) -> list[Phrase]:
        """The kinds that have one of these actions."""
        statement = PHRASES.where(
            phrases.c.organisation_id == self._organisation_id, phrases.c.action.in_(actions)
        )
        return [_phrase(row) for row in await self._connection.execute(statement)]

    async def changed(self, after: int, limit: int) -> list[Phrase]:
        """The kinds that were added or got another text after a revision; -1: all."""
        statement = PHRASES.where(
            phrases.c.organisation_id == self._organisation_id, phrases.c.revision > after
        )
        return [_phrase(row) for row in await self._connection.execute(statement.limit(limit))]

    async def add(self, new: Collection[Phrase], revision: int) -> None:
        """Keep kinds; those that are there already stay as they are."""
        rows = [
            {
                "organisation_id": self._organisation_id,
                "phrase_id": phrase.id,
                "action": phrase.action,
                "target_types": list(phrase.target_types),
                "outcome": phrase.outcome,
                "outcome_reason": phrase.outcome_reason,
                "source": phrase.source,
                "text": phrase.text,
                "revision": revision,
            }
            # In one order everywhere, so that two transactions cannot wait for each other.
            for phrase in sorted(new, key=lambda phrase: phrase.id)
        ]
        await self._connection.execute(insert(phrases).on_conflict_do_nothing(), rows)

    async def replace_texts(self, described: Collection[Phrase], revision: int) -> None:
        """Give kinds another text, and have them embedded anew."""
        for phrase in described:
            changed = await self._connection.execute(
                update(phrases)
                .where(
                    phrases.c.organisation_id == self._organisation_id,
                    phrases.c.phrase_id == phrase.id,
                    phrases.c.text != phrase.text,
                )
                .values(text=phrase.text, revision=revision)
                .returning(phrases.c.phrase_id)
            )
            if changed.all():
                await self._connection.execute(
                    delete(phrase_vectors).where(
                        phrase_vectors.c.organisation_id == self._organisation_id,
                        phrase_vectors.c.phrase_id == phrase.id,
                    )
                )

    async def lacking(self, model: str, limit: int) -> list[PhraseText]:
        """Kinds that have no vector of a model yet."""
        has_one = exists().where(
            phrase_vectors.c.organisation_id == phrases.c.organisation_id,
            phrase_vectors.c.model == model,
            phrase_vectors.c.phrase_id == phrases.c.phrase_id,
        )
        statement = (
            select(phrases.c.phrase_id, phrases.c.text)
            .where(phrases.c.organisation_id == self._organisation_id, ~has_one)
            .limit(limit)
        )
        rows = await self._connection.execute(statement)
        return [PhraseText(PhraseId(row.phrase_id), row.text) for row in rows]

    async def add_vectors(self, model: str, vectors: Mapping[PhraseId, Vector]) -> None:
        """Keep vectors; those that are there already stay as they are."""
        rows = [
            {
                "organisation_id": self._organisation_id,
                "model": model,
                "phrase_id": phrase_id,
                "vector": HalfVector(vectors[phrase_id]),
            }
            for phrase_id in sorted(vectors)
        ]
        statement = insert(phrase_vectors).on_conflict_do_nothing()
        await self._connection.execute(statement, rows)

    async def drop_vectors_but(self, models: Collection[str]) -> None:
        """Remove the vectors of all other models."""
        await self._connection.execute(
            delete(phrase_vectors).where(
                phrase_vectors.c.organisation_id == self._organisation_id,
                phrase_vectors.c.model.not_in(list(models)),
            )
        )

    async def _look_along_index(self, limit: int) -> None:
        settings = {
            "hnsw.ef_search": str(max(EF_SEARCH, min(limit, 1000))),
            "hnsw.iterative_scan": "strict_order",
        }
        await self._connection.execute(
            select(*(func.set_config(name, value, True) for name, value in settings.items()))  # noqa: FBT003
        )


def _phrase(row: Row[Any]) -> Phrase:
    return Phrase(
        PhraseId(row.phrase_id),
        row.action,
        tuple(row.target_types),
        Outcome(row.outcome),
        row.outcome_reason,
        row.source,
        row.text,
    )


def _any_of(words: Sequence[str]) -> str:
    """A query for any of some words; of several in one, for all. Signs are no part of a word."""
    runs = [_RUN.findall(word) for word in words]
    return " | ".join(" & ".join(run) for run in runs if run)


async def index_vectors(connection: AsyncConnection, model: str, dimensions: int) -> None:
    """Have an index over a model's vectors, if there is none yet."""
    if dimensions <= MAX_DIMENSIONS:
        await connection.execute(select(func.audit.index_vectors(model, dimensions)))


async def organisations_to_embed(
    connection: AsyncConnection, model: str
) -> Sequence[OrganisationId]:
    """The organisations that have a kind of event without a vector of a model."""
    called = func.audit.organisations_to_embed(model)
    return (await connection.scalars(select(called))).all()
