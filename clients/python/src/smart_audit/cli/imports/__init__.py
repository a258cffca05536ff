"""`smart-audit events import`: records of other systems become events."""
