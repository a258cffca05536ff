"""All repositories of one transaction."""

from sqlalchemy.ext.asyncio import AsyncSession

from smart_audit.auth.repository.administration import Administration
from smart_audit.auth.repository.challenges import Challenges
from smart_audit.auth.repository.erasures import Erasures
from smart_audit.auth.repository.factors import Factors
from smart_audit.auth.repository.invitations import Invitations
from smart_audit.auth.repository.machines import ApiKeys, ServiceAccounts
from smart_audit.auth.repository.mails import Mails
from smart_audit.auth.repository.members import Members
from smart_audit.auth.repository.organisations import Organisations
from smart_audit.auth.repository.outbox import Outbox
from smart_audit.auth.repository.passkeys import Passkeys
from smart_audit.auth.repository.persons import Persons
from smart_audit.auth.repository.revocations import Revocations
from smart_audit.auth.repository.sessions import Sessions
from smart_audit.auth.repository.signing_keys import SigningKeys
from smart_audit.auth.repository.users import Users


class Repositories:
    """All repositories of one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self.api_keys = ApiKeys(session)
        self.administration = Administration(session)
        self.challenges = Challenges(session)
        self.erasures = Erasures(session)
        self.factors = Factors(session)
        self.mails = Mails(session)
        self.invitations = Invitations(session)
        self.members = Members(session)
        self.organisations = Organisations(session)
        self.outbox = Outbox(session)
        self.passkeys = Passkeys(session)
        self.persons = Persons(session)
        self.revocations = Revocations(session)
        self.service_accounts = ServiceAccounts(session)
        self.sessions = Sessions(session)
        self.signing_keys = SigningKeys(session)
        self.users = Users(session)
