"""Counts of events: what can be asked, the time line, and the answer. No I/O."""
