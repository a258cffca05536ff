"""`smart-audit verify`: check every claim that the service makes, by what can be computed here."""
