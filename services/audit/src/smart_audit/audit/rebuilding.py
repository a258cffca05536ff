"""`python -m smart_audit.audit rebuild-search`: what search reads, made anew from the logs."""

import sys

from smart_audit.audit.embedding_runner import embed_everything
from smart_audit.audit.meaning.embedders import embedder
from smart_audit.audit.opening import open_database
from smart_audit.audit.projector import project_everything
from smart_audit.audit.repository.projection import organisations
from smart_audit.audit.settings import AuditSettings
from smart_audit.core.sealing import Sealer


async def rebuild_search(settings: AuditSettings) -> None:
    """Drop the projections of all logs and make them again. Running services take part in it.

    Meanwhile searches find what is projected again so far.

    Raises: psycopg.Error, ValueError for a model that is not there.
    """
    async with open_database(settings, Sealer(settings.sealing_key())) as database:
        async with database.everywhere() as connection:
            logs = await organisations(connection)
        for organisation_id in logs:
            async with database.projecting(organisation_id) as store:
                await store.discard()
        await project_everything(database)
        await embed_everything(database, embedder(settings))
    sys.stdout.write(f"search reads {len(logs)} logs anew\n")
