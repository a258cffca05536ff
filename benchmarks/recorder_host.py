"""A program that records at a steady rate, and tells how long each call took it.

Run as a process of its own, by `benchmarks/recorder.py` and a test: it prints a line when it
begins, another when all has been recorded, and its figures as JSON once all has been sent.
"""

import argparse
import json
import sys
import time

from smart_audit.client import Client, Recorder

SOURCES = 10
LIMIT_S = 300.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("spool")
    parser.add_argument("--rate", type=int, default=1000, help="events a second")
    parser.add_argument("--seconds", type=int, default=50)
    options = parser.parse_args()
    # A token is not for the command line, which others can read.
    client = Client(options.address, access_token=sys.stdin.readline().strip())
    recorder = Recorder(client, spool=options.spool)
    calls: list[tuple[float, float, float]] = []
    started = time.perf_counter()
    say("started")
    for n in range(options.rate * options.seconds):
        due = started + n / options.rate
        if (early := due - time.perf_counter()) > 0:
            time.sleep(early)
        before = time.perf_counter()
        recorder.record(
            "document.update",
            {"id": f"u_{n % SOURCES}", "name": "Ada Lovelace"},
            targets=[{"id": f"d_{n}", "type": "document"}],
            source=f"host-{n % SOURCES}",
            metadata={"n": n, "reason": "a sentence of some length"},
        )
        after = time.perf_counter()
        calls.append((before - started, after - before, before - due))
    say("recorded")
    ended = time.perf_counter()
    is_flushed = recorder.flush(LIMIT_S)
    counters = recorder.counters
    figures = {
        "flushed": is_flushed,
        "flush_s": time.perf_counter() - ended,
        "accepted": counters.accepted,
        "sent": counters.sent,
        "dropped": dict(counters.dropped),
        "refused": dict(counters.refused),
        "calls": calls,
    }
    say(json.dumps(figures))


def say(line: str) -> None:
    """At once, since others wait for it."""
    print(line, flush=True)


if __name__ == "__main__":
    main()
