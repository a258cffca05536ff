"""From the wire to a servicer: who calls, is the request valid, and what a failure looks like."""
