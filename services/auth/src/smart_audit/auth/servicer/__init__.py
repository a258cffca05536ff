"""From the wire to a use case and back, a file a service."""
