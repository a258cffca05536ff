"""A gateway with more to do than it can hold, and a worker that fails all that it is asked."""

import socket
import socketserver
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress

import httpx
import pytest

from smart_audit.stack.admin import Admin
from smart_audit.stack.limits import RateLimits
from tests.stack.gateways import bearer, error, running_gateway, running_worker
from tests.stack.running import eventually

_MIB = 2**20


def overload(config, **limits):
    """Replace the limits of the overload manager's monitors."""
    for monitor in config["overload_manager"]["resource_monitors"]:
        settings = monitor["typed_config"]
        settings.update({name: value for name, value in limits.items() if name in settings})


def test_requests_are_refused_while_memory_is_full(tmp_path):
    def little_memory(config):
        overload(config, max_heap_size_bytes=64 * _MIB)
        # The last stage takes no connection: there would be no answer to look at.
        actions = config["overload_manager"]["actions"]
        assert actions.pop()["name"] == "envoy.overload_actions.stop_accepting_connections"

    with running_gateway(tmp_path, change=little_memory) as gateway, ExitStack() as senders:

        def refused():
            senders.enter_context(_half_sent(gateway))
            answer = gateway.get("/healthz")
            return answer if answer.status_code != 200 else None

        assert gateway.get("/healthz").status_code == 200
        answer = eventually(refused, "a refusal", 20)
        assert error(answer) == (503, 14, "UPSTREAM_UNAVAILABLE")
        senders.close()
        eventually(lambda: gateway.get("/healthz").status_code == 200, "an answer again", 20)


@contextmanager
def _half_sent(gateway):
    """A body that is never sent to its end: it is gathered until then."""
    host, _, port = gateway.address.partition(":")
    headers = f"host: x\r\nauthorization: {bearer()['authorization']}\r\n"
    headers += "content-type: application/json\r\ncontent-length: 4000000\r\n"
    with socket.create_connection((host, int(port))) as connection:
        connection.settimeout(10)
        with suppress(OSError):  # refused itself
            connection.sendall(f"POST /v1/events HTTP/1.1\r\n{headers}\r\n".encode())
            connection.sendall(b"x" * 3_900_000)
        yield


def test_connections_beyond_the_limit_are_closed(tmp_path):
    def few_connections(config):
        overload(config, max_active_downstream_connections=4)

    with running_gateway(tmp_path, change=few_connections) as gateway:
        host, _, port = gateway.address.partition(":")
        with ExitStack() as held:
            for _ in range(4):
                held.enter_context(socket.create_connection((host, int(port))))
            with pytest.raises(httpx.HTTPError):
                eventually(lambda: gateway.get("/healthz").status_code != 200, "a closed one")
        eventually(lambda: gateway.get("/healthz").status_code == 200, "room again")


class Broken(socketserver.BaseRequestHandler):
    """Answers the first who comes as `healthy` does, and hangs up on everybody else."""

    def handle(self):
        first, self.server.first = self.server.first, False
        if first:
            with socket.create_connection(self.server.healthy) as upstream:
                threading.Thread(target=_copy, args=(upstream, self.request), daemon=True).start()
                _copy(self.request, upstream)


def _copy(source, target):
    with suppress(OSError):
        while data := source.recv(2**16):
            target.sendall(data)


def beside(address, changed=lambda _: None, name="auth"):
    """What puts a second worker into a service's cluster, and changes it otherwise."""

    def change(config):
        cluster = next(one for one in config["static_resources"]["clusters"] if one["name"] == name)
        workers = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
        workers.append({"endpoint": {"address": {"socket_address": address}}})
        changed(cluster)

    return change


@pytest.mark.parametrize(("watched", "lost"), [(True, (0.0, 0.25)), (False, (0.35, 0.65))])
def test_a_worker_that_hangs_up_on_calls_is_left_alone(tmp_path, watched, lost):
    """Calls that may not be repeated, and two workers of whom one says that it is well."""

    def prepare(auth):
        well = auth["load_assignment"]["endpoints"][0]["lb_endpoints"][0]
        address = well["endpoint"]["address"]["socket_address"]
        broken.healthy = (address["address"], address["port_value"])
        if not watched:
            del auth["outlier_detection"]

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Broken) as broken:
        broken.daemon_threads, broken.first = True, True
        threading.Thread(target=broken.serve_forever, daemon=True).start()
        address = {"address": "127.0.0.1", "port_value": broken.server_address[1]}
        with (
            running_gateway(
                tmp_path, change=beside(address, prepare), rate_limits=RateLimits(0, 0)
            ) as gateway,
            httpx.Client(base_url=gateway.url) as client,
        ):
            begun, statuses = time.monotonic(), Counter()
            while time.monotonic() - begun < 5.0:
                statuses[client.post("/auth/login", json={}).status_code] += 1
                time.sleep(0.002)
        broken.shutdown()
    assert set(statuses) <= {401, 503}, statuses
    least, most = lost
    assert least <= statuses[503] / statuses.total() <= most


def test_no_client_can_have_a_worker_left_alone(tmp_path):
    """By calls that a worker which is well answers with UNAVAILABLE."""
    with running_worker("audit") as port:
        address = {"address": "127.0.0.1", "port_value": port}
        with running_gateway(tmp_path, change=beside(address, name="audit")) as gateway:
            with httpx.Client(base_url=gateway.url, headers=bearer()) as client:
                answers = [
                    client.post("/v1/events", json={"id": "fails 1000 times"}) for _ in range(100)
                ]
            assert {answer.status_code for answer in answers} == {503}
            time.sleep(1.5)  # for the next look
            assert Admin(tmp_path / "a.sock").total("ejections_enforced_total") == 0
