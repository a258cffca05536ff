"""Tell a person of a login from a device that the account does not know."""

from ipaddress import ip_address, ip_network

from smart_audit.auth.devices import device_of
from smart_audit.auth.domain import Acting, User
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.common import Deps
from smart_audit.auth.use_cases.notices import notify

# Telephones and homes change their addresses often, their networks seldom.
NETWORK_BITS = {4: 24, 6: 48}


async def tell_of_new_device(
    user: User, acting: Acting, repositories: Repositories, deps: Deps
) -> None:
    """Queue a notice, unless the account had a session from such a device and network before.

    Nobody is told of the first login of all.
    """
    origins = await repositories.sessions.origins(user.id)
    known = {(network_of(address), device_of(user_agent)) for address, user_agent in origins}
    client = acting.client
    if known and (network_of(client.address), device_of(client.user_agent)) not in known:
        await notify(user, "session.new_device", acting, repositories, deps)


def network_of(address: str) -> str:
    """The network that an address is in, such as "192.0.2.0/24"; what is none is its own."""
    try:
        bits = NETWORK_BITS[ip_address(address).version]
    except ValueError:
        return address
    return str(ip_network(f"{address}/{bits}", strict=False))
