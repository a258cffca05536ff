"""Records of other systems become events: pure, one module a kind of record (docs/imports.md).

Each has `to_event(record)`, which raises BadRecord. Nothing is lost: what no field of the event
carries exactly stays in its metadata under its own name, and a value that a field cannot hold is
not cut but stays there whole. The same record always gives the same event with the same id.
"""
