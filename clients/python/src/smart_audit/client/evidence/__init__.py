"""Evidence bundles: one zip with events and all that proves them, checked without the service.

formats, manifest, lines     the members, and the JSON in them; docs/evidence.md describes them
entries                      a leaf and its disclosures as an event
keys                         who signed the checkpoint
summary                      the bundle in words
page                         the page that verifies the bundle in a browser; its parts are in web/
bundle                       writing
check, event_lines, archive, report     verifying
fetch                        what a bundle is written from, out of the API
"""
