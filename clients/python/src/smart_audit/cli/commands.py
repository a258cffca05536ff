"""All commands at a glance. What each does is in its own module, which is imported when it runs."""

from dataclasses import replace
from typing import Final

from smart_audit.cli.lazy import Group, Leaf

_CLI: Final = "smart_audit.cli"


def _leaf(place: str, summary: str) -> Leaf:
    return Leaf(f"{_CLI}.{place}", summary)


_IMPORT: Final = Group(
    "Record what other systems have logged. Importing a file again adds only what is missing: "
    "records are known by their ids. Lines that cannot be recorded are named and skipped; the exit "
    "code is then 5.",
    {
        "cloudtrail": _leaf("imports.command:cloudtrail", "Import AWS CloudTrail records."),
        "ocsf": _leaf("imports.command:ocsf", "Import events of OCSF 1.x."),
        "cloudevents": _leaf("imports.command:cloudevents", "Import CloudEvents 1.0 in JSON."),
        "jsonl": _leaf("imports.command:jsonl", "Import JSON lines."),
    },
)
_EVIDENCE: Final = _leaf("export:evidence", "Write a bundle of the events of a period.")
_VERIFY_LOG: Final = _leaf("verify.log:log", "Verify a whole log.")

_EVENTS: Final = Group(
    "Record events, find them, follow them, take them out.",
    {
        "send": _leaf("events.send:send", "Record one event."),
        "get": _leaf("events.find:get", "Show an event with all that may be seen of it."),
        "list": _leaf("events.find:list_", "List events, the latest first."),
        "search": _leaf("events.find:search", "Find events by what they mean, the best first."),
        "tail": _leaf("events.tail:tail", "Follow events as they are recorded."),
        "count": _leaf("events.count:count", "Count events by a field, or over time."),
        "import": _IMPORT,
        "export": _leaf(
            "events.export:export", "Write all events that a filter asks for to a file."
        ),
        "evidence": _EVIDENCE,
    },
)
_LOG: Final = Group(
    "Ask the log for what proves it, and check it. Exit code 6: something does not hold.",
    {
        "checkpoint": _leaf("log.read:checkpoint", "Show the log's checkpoint."),
        "proof": _leaf("log.read:proof", "Write an event's proof as a file."),
        "verify": _VERIFY_LOG,
        "witness": _leaf("log.read:witness", "List the witnesses who have cosigned the log."),
    },
)
_VERIFY: Final = Group(
    "Check files of the log, and its database. Exit code 6: something does not hold, and where.",
    {
        "file": _leaf("verify.file:file", "Verify one event offline."),
        "evidence": _leaf("verify.evidence:evidence", "Verify an evidence bundle offline."),
        "log": replace(_VERIFY_LOG, hidden=True),
    },
    plugins="smart_audit.cli.verify",
)
_ORGS: Final = Group(
    "Organisations, their members, and invitations.",
    {
        "list": _leaf("orgs:list_", "List your organisations."),
        "get": _leaf("orgs:get", "Show the organisation that you are in now."),
        "create": _leaf("orgs:create", "Create an organisation."),
        "switch": _leaf("orgs:switch", "Be in another organisation from now on."),
        "rename": _leaf("orgs:rename", "Rename the organisation that you are in."),
        "members": _leaf("orgs:members", "List the members of the organisation."),
        "set-role": _leaf("orgs:set_role", "Give a member another role."),
        "remove": _leaf("orgs:remove", "Remove a member."),
        "invite": _leaf("orgs:invite", "Invite somebody by mail."),
        "invitations": _leaf("orgs:invitations", "List the invitations that nobody has answered."),
        "withdraw": _leaf("orgs:withdraw", "Withdraw an invitation."),
    },
)
_USERS: Final = Group(
    "All users, for administrators of the installation.",
    {
        "list": _leaf("users:list_", "List the users of the installation."),
        "get": _leaf("users:get", "Show a user."),
        "deactivate": _leaf("users:deactivate", "Keep a user out."),
        "reactivate": _leaf("users:reactivate", "Let a deactivated user in again."),
        "reset-password": _leaf("users:reset_password", "Make a user choose a new password."),
        "end-sessions": _leaf("users:end_sessions", "End all sessions of a user."),
    },
)
_KEYS: Final = Group(
    "API keys, and the service accounts that they are of.",
    {
        "list": _leaf("keys:list_", "List API keys."),
        "create": _leaf("keys:create", "Create an API key."),
        "rotate": _leaf("keys:rotate", "Replace an API key by a new one."),
        "revoke": _leaf("keys:revoke", "Revoke an API key."),
        "accounts": _leaf("keys:accounts", "List the service accounts of the organisation."),
    },
)
_CONFIG: Final = Group(
    "Profiles: where a gateway is, and who you are there.",
    {
        "list": _leaf("config:list_", "List the profiles."),
        "get": _leaf("config:get", "Print a setting of a profile."),
        "set": _leaf("config:set_", "Set a setting of a profile."),
        "use": _leaf("config:use", "Make a profile the default one."),
        "remove": _leaf("config:remove", "Remove a profile."),
        "path": _leaf("config:path", "Print where the profiles are."),
    },
)

COMMANDS: Final = Group(
    "Who did what, when: record it, and prove it.",
    {
        "login": _leaf("account:login", "Log in, and remember it."),
        "logout": _leaf("account:logout", "End the session, and forget its tokens."),
        "whoami": _leaf("account:whoami", "Show who you are to the service."),
        "token": _leaf("token:token", "Print an access token."),
        "config": _CONFIG,
        "events": _EVENTS,
        "top": _leaf(
            "top.command:top", "Watch the rate, the top actors and actions, and failures."
        ),
        "log": _LOG,
        "verify": _VERIFY,
        "orgs": _ORGS,
        "keys": _KEYS,
        "users": _USERS,
        "doctor": _leaf("doctor.command:doctor", "Check this machine and the service."),
        "demo": _leaf(
            "demo.command:demo", "Sign up, log in, import real events, find some, and prove one."
        ),
        "import": replace(_IMPORT, hidden=True),
        "export": Group("Take events out.", {"evidence": _EVIDENCE}, hidden=True),
    },
    plugins="smart_audit.cli",
    examples="""
    smart-audit up                            # the whole system, on this machine
    smart-audit login --email ada@example.com
    smart-audit events send door.open --actor u_1
    smart-audit events tail
    smart-audit log verify
    """,
)

_YOU: Final = "You"
_DATA: Final = "Events and their log"
_PEOPLE: Final = "People and machines"
PANELS: Final = {
    **dict.fromkeys(("login", "logout", "whoami", "token", "config"), _YOU),
    **dict.fromkeys(("events", "top", "log", "verify"), _DATA),
    **dict.fromkeys(("orgs", "keys", "users"), _PEOPLE),
}
"""The panels of the help. What runs the system stands in the one without a name."""
