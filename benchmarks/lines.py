"""The lines of the table, in its order: a new benchmark is a file and an entry here."""

from benchmarks.ingest import INGEST
from benchmarks.logins import LOGINS_LINE
from benchmarks.measure import Benchmark
from benchmarks.writes import JSON_WRITES, SINGLE_WRITES

LINES: list[Benchmark] = [INGEST, SINGLE_WRITES, JSON_WRITES, LOGINS_LINE]
