"""The lines of the table, in its order: a new benchmark is a file and an entry here."""

from benchmarks.against_baseline import AGAINST_BASELINE_BATCH, AGAINST_BASELINE_SINGLE
from benchmarks.ingest import INGEST
from benchmarks.logins import LOGIN_LINES
from benchmarks.measure import Benchmark
from benchmarks.tokens import INTROSPECTIONS, REFRESHES, TOKEN_CHECKS
from benchmarks.writes import JSON_WRITES, SINGLE_WRITES

LINES: list[Benchmark] = [
    INGEST,
    SINGLE_WRITES,
    AGAINST_BASELINE_BATCH,
    AGAINST_BASELINE_SINGLE,
    JSON_WRITES,
    *LOGIN_LINES,
    TOKEN_CHECKS,
    REFRESHES,
    INTROSPECTIONS,
]
