"""What happened: events in a Merkle log, one log per organisation."""
