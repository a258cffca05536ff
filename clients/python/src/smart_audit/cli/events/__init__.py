"""`smart-audit events`: record events, find them, follow them, take them out."""
