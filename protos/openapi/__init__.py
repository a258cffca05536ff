"""The API's description in OpenAPI 3.1, generated from the protos.

    python -m protos.openapi            write gateway/openapi.json
    python -m protos.openapi --check    exit 1 when the committed one differs

What the protos say is taken from them: paths, fields, limits, access rules and all texts. What they
do not say stands in `bodies` (what is in a `google.api.HttpBody`) and in `well_known` (how JSON
writes the types of Google); why a call is refused, with which status, is taken from the refusals of
the services and of the gateway.
"""
