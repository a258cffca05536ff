"""How fast the events of a large log are found, counted, followed and projected."""
