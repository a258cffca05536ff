"""Network addresses: is a port free, which one is, how is a listener reached."""

import errno
import ipaddress
import random
import socket

from smart_audit.stack.problem import Problem

# Below the range from which Linux and macOS take ports for outgoing connections: a worker that
# is started again must find its port still free.
_WORKER_PORTS = range(20_000, 32_768)


def refuse_taken(host: str, port: int, what: str, option: str) -> None:
    """Raise Problem when nothing could listen on this port now."""
    try:
        _bind(host, port)
    except OSError as error:
        raise Problem(_refusal(error, host, port, what, option)) from error


def free_ports(count: int, taken: set[int]) -> list[int]:
    """Pick loopback ports that are free now and not in `taken`."""
    found: list[int] = []
    for port in random.sample(_WORKER_PORTS, k=len(_WORKER_PORTS)):
        if len(found) == count:
            break
        try:
            _bind("127.0.0.1", port)
        except OSError:
            continue
        if port not in taken:
            found.append(port)
    return found


def reachable(host: str) -> str:
    """Return the host by which a listener on `host` is reached from this machine."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if isinstance(address, ipaddress.IPv4Address) else "::1"


def joined(host: str, port: int) -> str:
    """Return host:port, an IPv6 host in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _bind(host: str, port: int) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        # Connections of a stack that has just stopped linger; a listener would not.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        # Two sockets may share an address until one listens.
        probe.listen(1)


def _refusal(error: OSError, host: str, port: int, what: str, option: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} for {what} is taken on {host}; "
            f"stop the program that uses it, or choose another port with {option}."
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"Port {port} for {what} needs root's rights; choose one above 1023 with {option}."
    return f"Nothing can listen on {joined(host, port)} ({error.strerror}); correct --host."
