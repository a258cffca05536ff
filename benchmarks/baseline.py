"""What most teams would build: FastAPI, an async SQLAlchemy session, a commit an event, no proofs.

`python -m benchmarks.baseline PORT`, with the database's URL in BASELINE_DATABASE_URL. It stores
what it gets in one table with the usual indexes, checks no token and proves nothing. One uvicorn
worker with uvloop, as ours is one process. It ends with its standard input.
"""

import os
import sys
import threading
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import uvicorn
from fastapi import Depends, FastAPI
from pydantic import BaseModel, Field
from sqlalchemy import Index, create_engine
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SCHEMA = "baseline"


class Base(DeclarativeBase):
    """The mapped classes."""

    type_annotation_map = {dict[str, Any]: JSONB, list[dict[str, Any]]: JSONB}  # noqa: RUF012


class Event(Base):
    """One event, as it came."""

    __tablename__ = "events"
    __table_args__ = (
        Index("events_occurred_at_idx", "occurred_at"),
        Index("events_actor_id_idx", "actor_id", "occurred_at"),
        Index("events_action_idx", "action", "occurred_at"),
        {"schema": SCHEMA},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    occurred_at: Mapped[datetime]
    action: Mapped[str]
    actor_id: Mapped[str]
    actor: Mapped[dict[str, Any]]
    targets: Mapped[list[dict[str, Any]]]
    outcome: Mapped[str]
    source: Mapped[str]
    source_address: Mapped[str]
    user_agent: Mapped[str]
    details: Mapped[dict[str, Any]]


class Actor(BaseModel):
    """Who did it."""

    id: str = Field(min_length=1, max_length=256)
    name: str = Field("", max_length=256)
    email: str = Field("", max_length=254)


class NewEvent(BaseModel):
    """An event as it is sent."""

    id: UUID
    occurred_at: datetime
    action: str = Field(min_length=1, max_length=200)
    actor: Actor
    targets: list[dict[str, Any]] = []
    outcome: str
    source: str = ""
    source_address: str = ""
    user_agent: str = ""
    metadata: dict[str, Any] = {}


def build(url: str) -> FastAPI:
    """The application on a database."""
    sessions = async_sessionmaker(create_async_engine(url, pool_size=10, max_overflow=0))

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions() as opened:
            yield opened

    app = FastAPI()

    @app.post("/events")
    async def record(
        event: NewEvent, session: Annotated[AsyncSession, Depends(session)]
    ) -> dict[str, str]:
        content = event.model_dump()
        content["details"] = content.pop("metadata")
        occurred_at = content.pop("occurred_at").replace(tzinfo=None)
        session.add(Event(**content, occurred_at=occurred_at, actor_id=event.actor.id))
        await session.commit()
        return {"id": str(event.id)}

    return app


def create_tables(url: str) -> None:
    """Make the baseline's schema."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")
        Base.metadata.create_all(connection)
    engine.dispose()


def drop_tables(url: str) -> None:
    """Remove the baseline's schema."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {SCHEMA} CASCADE")
    engine.dispose()


def main() -> None:
    """Serve until the standard input ends."""
    config = uvicorn.Config(
        build(os.environ["BASELINE_DATABASE_URL"]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        access_log=False,
        log_level="warning",
    )
    server = uvicorn.Server(config)

    def end_with_input() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=end_with_input, daemon=True).start()
    server.run()


if __name__ == "__main__":
    main()
