"""All repositories of one transaction."""

from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.auth.repository.administration import Administration
from smart_audit.auth.repository.challenges import Challenges
from smart_audit.auth.repository.erasures import Erasures
from smart_audit.auth.repository.expired import Expired
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

    def __init__(self, connection: AsyncConnection) -> None:
        self.api_keys = ApiKeys(connection)
        self.administration = Administration(connection)
        self.challenges = Challenges(connection)
        self.expired = Expired(connection)
        self.erasures = Erasures(connection)
        self.expired = Expired(connection)
        self.factors = Factors(connection)
        self.mails = Mails(connection)
        self.invitations = Invitations(connection)
        self.members = Members(connection)
        self.organisations = Organisations(connection)
        self.outbox = Outbox(connection)
        self.passkeys = Passkeys(connection)
        self.persons = Persons(connection)
        self.revocations = Revocations(connection)
        self.service_accounts = ServiceAccounts(connection)
        self.sessions = Sessions(connection)
        self.signing_keys = SigningKeys(connection)
        self.users = Users(connection)
