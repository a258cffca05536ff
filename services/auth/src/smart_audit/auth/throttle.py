"""The throttle: how often somebody may try, counted for all replicas together.

A try is counted before the work that it costs, so that calls at once cannot outrun the count, and
a success gives it back. Nobody can be locked out for good by others: whoever has succeeded from an
address before has counts of their own there, and a password reset opens everything again.

docs/throttling.md explains the scheme; `PACES` is its table.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from smart_audit.auth.cache import Cache, Pace, Turn
from smart_audit.auth.errors import TooManyAttempts

Network = IPv4Network | IPv6Network

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

KNOWN_FOR = 30 * DAY
# A refusal is told to the audit log once in so long for each of whom it concerns.
NEWS_AFTER = 10 * MINUTE
IPV6_PREFIX = 64
DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Paces:
    """How often one kind of thing may be tried, by what a try is counted under.

    pair: the account from one address. strangers: the account from all addresses together from
    which nobody has succeeded before. account: the account from everywhere. organisation: the
    organisation, or the domain of the account's address where the organisation is not to be told.
    """

    pair: Pace | None = None
    strangers: Pace | None = None
    account: Pace | None = None
    address: Pace | None = None
    organisation: Pace | None = None


# Of at most 100 wrong passwords in a row (NIST SP 800-63B-4, section 3.2.2) strangers get half, so
# that they cannot use up those of the owner.
GUESSES = Paces(
    pair=Pace(10, SECOND, 15 * MINUTE, DAY),
    strangers=Pace(20, SECOND, 15 * MINUTE, 30 * DAY, limit=50),
    account=Pace(100, SECOND, SECOND, 30 * DAY, limit=100),
    address=Pace(50, SECOND, 5 * MINUTE, HOUR, fixed=True),
    organisation=Pace(1000, SECOND, SECOND, 10 * MINUTE, fixed=True),
)
# What sends a mail to somebody who may not have asked for it.
MAILS = Paces(
    account=Pace(3, MINUTE, HOUR, DAY),
    address=Pace(20, 10 * SECOND, 10 * MINUTE, HOUR, fixed=True),
    organisation=Pace(100, MINUTE, HOUR, DAY, fixed=True),
)
PACES = {
    "login": GUESSES,
    "code": GUESSES,
    "client": GUESSES,
    "signup": MAILS,
    "reset": MAILS,
    "mail": MAILS,
    "invite": MAILS,
}
# Counts that belong to one account alone; a success of its owner clears them.
OWN = ("pair", "strangers", "account")


class Throttle:
    """Counts tries and refuses those that come too often.

    key: what people are counted under is a keyed digest, so that the cache names nobody.
    exempt: networks whose addresses are not counted by themselves, such as a load balancer's.
    """

    def __init__(self, cache: Cache, key: bytes, exempt: Sequence[Network] = ()) -> None:
        self._cache = cache
        self._key = key
        self._exempt = exempt

    async def check(
        self, kind: str, *, account: str = "", address: str = "", organisation: str = ""
    ) -> None:
        """Count a try, before any work is done for it; what fails needs no further call.

        kind: a key of `PACES`. account: the canonical e-mail address, or an id. Who is unknown is
        counted like who is known: the refusal tells nothing.

        Raises: TooManyAttempts, Unavailable while the cache is away.
        """
        turns = list(self._turns(kind, account, address, organisation).values())
        wait = await self._cache.take(turns) if turns else None
        if wait is not None:
            is_news = await self._cache.add(f"news:{wait.key}", b"", NEWS_AFTER)
            raise TooManyAttempts(wait.time, is_news=is_news)

    async def succeeded(
        self, kind: str, *, account: str, address: str = "", organisation: str = ""
    ) -> None:
        """Forget the failures of an account, since whoever is at this address owns it.

        A password reset by mail calls it too, for "login": so it opens what guessing has closed.

        Raises: Unavailable while the cache is away.
        """
        turns = self._turns(kind, account, address, organisation)
        await self._cache.settle(
            [turn.key for scope, turn in turns.items() if scope in OWN],
            [turn.key for scope, turn in turns.items() if scope not in OWN],
            self._known(kind, account, address),
            KNOWN_FOR,
        )

    def _turns(self, kind: str, account: str, address: str, organisation: str) -> dict[str, Turn]:
        """What a try is counted under, by the names of `Paces`."""
        paces, client = PACES[kind], _client(address)
        # Nobody is known at an address that is none: it would be everybody's.
        known = self._known(kind, account, address) if _parsed(address) else ""
        counted = {
            "pair": (paces.pair, account and f"{account} {client}", ""),
            "strangers": (paces.strangers, account, known),
            "account": (paces.account, account, ""),
            "address": (paces.address, "" if self._is_exempt(address) else client, known),
            "organisation": (paces.organisation, organisation, known),
        }
        return {
            scope: Turn(self._name(kind, scope, of), pace, unless)
            for scope, (pace, of, unless) in counted.items()
            if pace is not None and of
        }

    def _known(self, kind: str, account: str, address: str) -> str:
        return self._name(kind, "known", f"{account} {_client(address)}")

    def _name(self, kind: str, scope: str, of: str) -> str:
        digest = hmac.digest(self._key, of.encode(), "sha256")
        return f"{kind}:{scope}:{digest[:DIGEST_BYTES].hex()}"

    def _is_exempt(self, address: str) -> bool:
        parsed = _parsed(address)
        return parsed is not None and any(parsed in network for network in self._exempt)


def domain_of(email: str) -> str:
    """The organisation of a login, as far as it may be told: the domain of the address.

    Whose member somebody is would be told by a throttle that only members of one organisation meet.
    """
    return email.rpartition("@")[2].casefold()


def _client(address: str) -> str:
    """What is counted as one client: an IPv4 address, or the /64 of an IPv6 address."""
    parsed = _parsed(address)
    if parsed is None:
        return address and "unknown"
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((parsed, IPV6_PREFIX), strict=False))
    return str(parsed)


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
