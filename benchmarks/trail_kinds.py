"""The kinds of events of a made-up company: which there are, and how often each occurs.

A kind is what an event has in common with others: action, types of targets, outcome, reason and
source. There are some thousand of them, and a few make up most of the trail, as in real ones.
"""

from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from random import Random
from typing import NamedTuple

from smart_audit.audit.domain import Outcome

SEED = 5
VERBS_OF_A_RESOURCE = 14
SOURCES_OF_A_RESOURCE = 3
SKEW = 1.1
"""Exponent of Zipf's law over actions: the n-th is as frequent as n to the power of minus this."""


def words(text: str) -> list[str]:
    """The words of a text, in their order."""
    return text.split()


RESOURCES = words(
    "access_token account alert api_key backup branch bucket build calendar campaign"
    " certificate channel cluster comment container contract coupon credential customer"
    " dashboard database dataset deployment device document domain encryption_key endpoint"
    " environment export feature_flag file firewall_rule folder form group image import"
    " incident integration invoice label license member message metric model network notebook"
    " notification order organisation payment permission pipeline policy product profile"
    " project queue quota refund release report repository role schedule secret server session"
    " shipment snapshot subscription survey table team template ticket user vault volume"
    " webhook workflow workspace"
)
VERBS = words(
    "approve archive assign clone close copy create delete disable download enable export"
    " import invite list lock merge move publish purge reject rename reopen reset restore"
    " revoke rotate search share sign start stop suspend sync tag transfer unlock unshare"
    " update upload verify view"
)
SOURCES = words(
    "admin-console api-gateway backoffice batch-worker billing-api build-runner chat-service"
    " cloud-console command-line crm-sync data-platform deploy-agent document-service"
    " edge-proxy identity-service mail-relay mobile-app network-controller partner-portal"
    " report-service scheduler search-service storage-service support-desk vault-agent web-app"
)
REASONS = {
    Outcome.FAILURE: words(
        "Timeout Conflict QuotaExceeded NotFound ValidationFailed StorageFull VersionMismatch"
        " DependencyFailed RateLimited ChecksumMismatch"
    ),
    Outcome.DENIED: words(
        "AccessDenied MissingScope ExpiredToken OutsideOfficeHours AddressBlocked"
        " SecondFactorMissing PolicyViolation AccountSuspended"
    ),
}
REFUSED = {Outcome.FAILURE: 0.04, Outcome.DENIED: 0.02}
"""The share of attempts that end so; the others succeed."""


class Kind(NamedTuple):
    """What events have in common."""

    action: str
    target_types: tuple[str, ...]
    outcome: Outcome
    outcome_reason: str
    source: str


class Kinds(NamedTuple):
    """All kinds, and the sum of the weights up to each, as `random.choices` takes them."""

    all: list[Kind]
    cumulative: list[float]


@cache
def kinds() -> Kinds:
    """The kinds, always the same."""
    random = Random(SEED)
    actions = [
        (resource, verb)
        for resource in RESOURCES
        for verb in random.sample(VERBS, VERBS_OF_A_RESOURCE)
    ]
    random.shuffle(actions)
    weighted = [
        (kind, weight / rank**SKEW)
        for rank, (resource, verb) in enumerate(actions, 1)
        for kind, weight in _of_action(resource, verb, random)
    ]
    found = [kind for kind, _ in weighted]
    return Kinds(found, list(accumulate(weight for _, weight in weighted)))


def _of_action(resource: str, verb: str, random: Random) -> Iterator[tuple[Kind, float]]:
    """The kinds of one action, and how often each occurs among them."""
    action = f"{resource}.{verb}"
    types = _target_types(resource, verb, random)
    for place, source in enumerate(random.sample(SOURCES, SOURCES_OF_A_RESOURCE), 1):
        share = 1 / place
        yield Kind(action, types, Outcome.SUCCESS, "", source), share * (1 - sum(REFUSED.values()))
        for outcome, refused in REFUSED.items():
            reason = random.choice(REASONS[outcome])
            yield Kind(action, types, outcome, reason, source), share * refused


def _target_types(resource: str, verb: str, random: Random) -> tuple[str, ...]:
    if verb in {"list", "search"}:
        return ()
    if verb in {"assign", "invite", "share", "transfer", "unshare"}:
        return (resource, "user")
    if verb in {"move", "copy", "import"} and random.random() < 0.5:
        return (resource, "workspace")
    return (resource,)
