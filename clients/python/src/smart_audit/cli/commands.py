"""All commands at a glance. What each does is in its own module, which is imported when it runs."""

from typing import Final

from smart_audit.cli.lazy import Group, Leaf

_IMPORTS: Final = Group(
    "Record what other systems have logged. Importing a file again adds only what is missing: "
    "records are known by their ids. Lines that cannot be recorded are named and skipped; the exit "
    "code is then 5.",
    {
        "cloudtrail": Leaf(
            "smart_audit.cli.imports.command:cloudtrail", "Import AWS CloudTrail records."
        ),
        "ocsf": Leaf("smart_audit.cli.imports.command:ocsf", "Import events of OCSF 1.x."),
        "cloudevents": Leaf(
            "smart_audit.cli.imports.command:cloudevents", "Import CloudEvents 1.0 in JSON."
        ),
        "jsonl": Leaf("smart_audit.cli.imports.command:jsonl", "Import JSON lines."),
    },
)

COMMANDS: Final = Group(
    "Who did what, when: record it, and prove it.",
    {
        "token": Leaf("smart_audit.cli.token:token", "Log in and print an access token."),
        "demo": Leaf(
            "smart_audit.cli.demo.command:demo",
            "Sign up, log in, import real events, find some, and prove one.",
        ),
        "verify": Group(
            "Check what the log claims. Exit code 6: something does not hold, and where.",
            {
                "log": Leaf("smart_audit.cli.verify.log:log", "Verify a whole log."),
                "file": Leaf("smart_audit.cli.verify.file:file", "Verify one event offline."),
                "evidence": Leaf(
                    "smart_audit.cli.verify.evidence:evidence", "Verify an evidence bundle offline."
                ),
            },
            plugins="smart_audit.cli.verify",
        ),
        "import": _IMPORTS,
        "export": Group(
            "Take events out, with what proves them.",
            {
                "evidence": Leaf(
                    "smart_audit.cli.export:evidence", "Write a bundle of the events of a period."
                )
            },
        ),
    },
    plugins="smart_audit.cli",
)

PANELS: Final = {"token": "Identity"}
