"""Channels to other services."""

import grpc.aio


def open_channel(address: str) -> grpc.aio.Channel:
    """A channel to `host:port`, or to several `ip:port` by commas, in turn.

    After an outage it tries again within a second, not within gRPC's default of two minutes.
    """
    scheme = "ipv4:" if "," in address else "dns:///"
    return grpc.aio.insecure_channel(
        f"{scheme}{address}",
        options=[
            ("grpc.lb_policy_name", "round_robin"),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
        ],
    )
