"""`smart-audit import`: records of other systems become events."""
