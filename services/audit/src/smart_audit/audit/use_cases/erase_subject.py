"""Erase a person: destroy the key under which the person's fields are sealed."""

from smart_audit.audit.append import in_turn
from smart_audit.audit.domain import Actor, OrganisationId, Subject
from smart_audit.audit.errors import SubjectNotFound
from smart_audit.audit.governance import ERASE_SUBJECT, Erasure, erasure_facts
from smart_audit.audit.repository import Database
from smart_audit.audit.repository.governance import GovernanceReader, Unneeded, destroying_key
from smart_audit.audit.repository.saved_searches import forgetting_owner
from smart_audit.audit.use_cases.own_events import Governing, append_own, own_event
from smart_audit.audit.use_cases.projected import projected


async def erase_subject(
    organisation_id: OrganisationId,
    subject: Subject,
    reason: str,
    by: Actor,
    database: Database,
    deps: Governing,
) -> Erasure:
    """Erase a person; once there is nothing left of them, the latest erasure is the answer.

    Raises: SubjectNotFound, SubjectHeld.
    """
    async with database.transaction(organisation_id) as connection:
        there = await GovernanceReader(connection, organisation_id).has_key(subject)
    if there:
        # Disclosures are sealed under the caller's key. Who erases themselves destroys that one;
        # to seal what nobody could ever read would take a new one.
        disclosing = subject != by.subject
        facts = erasure_facts(subject)
        new = own_event(
            organisation_id, ERASE_SUBJECT, by, facts, deps, reason=reason, disclosing=disclosing
        )
        effect = in_turn(
            destroying_key(organisation_id, subject, new.event.id),
            forgetting_owner(organisation_id, subject),
        )
        try:
            index = await append_own(new, effect, database, deps)
        except Unneeded:
            pass  # somebody else was faster
        else:
            # Search has taken the person's words out by then, or is behind and will.
            await projected(organisation_id, database)
            return Erasure(new.event.id, index, new.event.occurred_at)
    async with database.transaction(organisation_id) as connection:
        earlier = await GovernanceReader(connection, organisation_id).erasure(subject)
    if earlier is None:
        raise SubjectNotFound(
            "this log holds no personal data of this subject",
            subject_type=subject.type,
            subject_id=subject.id,
        )
    return earlier
