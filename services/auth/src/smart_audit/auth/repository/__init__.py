"""The queries of auth. Repositories work in the transaction they are given and never commit."""

from smart_audit.auth.repository.queues import Queue
from smart_audit.auth.repository.repositories import Repositories
from smart_audit.auth.repository.signing_keys import SigningKeyRow
from smart_audit.auth.repository.work import CONNECTION_OPTIONS, Work

__all__ = ["CONNECTION_OPTIONS", "Queue", "Repositories", "SigningKeyRow", "Work"]
