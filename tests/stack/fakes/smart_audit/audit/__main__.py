"""Stands in for the audit service; FAKE_BROKEN="audit migrate" makes that verb fail."""

import os
import sys
from importlib import import_module

if __name__ == "__main__":
    verb = sys.argv[1]
    if os.environ.get("FAKE_BROKEN") == f"audit {verb}":
        sys.exit("audit is broken on purpose")
    # Only what the verb needs is imported: these processes start often.
    module = {"migrate": "fake_schema", "serve": "fake_service"}[verb]
    getattr(import_module(f"tests.stack.fakes.{module}"), verb)("audit")
