"""Talking to Smart Audit from Python: connection, events, verification.

The command line stands on this package, and this package knows nothing of it.
"""
