"""Smart Audit on one machine: embedded PostgreSQL, both services and the Envoy gateway.

`smart-audit up` starts everything and supervises it; `smart-audit down` stops it.
"""
