"""`smart-audit top`: what goes on, at a glance."""
