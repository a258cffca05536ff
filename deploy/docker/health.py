"""Exit with 0 when a gRPC service says that it serves. Usage: health.py HOST:PORT."""

import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

ANSWER_LIMIT_S = 3


def main() -> None:
    """Ask once (grpc.health.v1, the empty service name)."""
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(sys.argv[1], options=options) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=ANSWER_LIMIT_S
            )
        except grpc.RpcError as error:
            sys.exit(f"{sys.argv[1]}: {error.code().name}")
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        sys.exit(f"{sys.argv[1]}: not serving")


if __name__ == "__main__":
    main()
