"""Measures Smart Audit against what bounds it, on one machine: `python -m benchmarks`."""
