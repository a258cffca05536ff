"""What the demo does, step by step; each step shows what it did and verifies what it claims."""

import secrets
import time
from typing import Final

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.cli.demo import gateway
from smart_audit.cli.demo.show import Steps, event_table, outcome_text
from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.cli.imports.command import import_file
from smart_audit.cli.imports.kinds import CLOUDTRAIL
from smart_audit.cli.terminal import command, notices, say
from smart_audit.client.blocking import BlockingConnection
from smart_audit.client.connection import Session
from smart_audit.client.verification import (
    SignedCheckpoint,
    check_answer,
    check_consistency,
    check_event,
    check_inclusion,
)

# An attacker's favourite, and in the imported records.
_SHOWN_ACTION: Final = "cloudtrail.StopLogging"
_AUTH_ACTIONS: Final = frozenset({"auth.signup", "auth.login"})
_AUTH_LIMIT_S: Final = 10.0
_LOOK_AGAIN_S: Final = 0.1
_SHOWN: Final = 5


class Visitor:
    """A new user: a fresh address and password, and the session once logged in."""

    def __init__(self) -> None:
        self.email = f"ada-{secrets.token_hex(4)}@example.com"
        self.password = secrets.token_urlsafe(12)

    def sign_up(self, address: str) -> str:
        """Sign up over JSON and return the id of the personal organisation.

        Raises: Failure, OSError.
        """
        body = {
            "email": self.email,
            "password": self.password,
            "first_name": "Ada",
            "last_name": "Lovelace",
        }
        return str(gateway.post(address, "/auth/signup", body)["organisation_id"])

    def log_in(self, address: str) -> Session:
        """Log in over JSON.

        Raises: Failure, OSError.
        """
        body = {"email": self.email, "password": self.password}
        answer = gateway.post(address, "/auth/login", body)
        return Session(answer["access_token"], answer["refresh_token"])


class Tour:
    """The steps of a logged-in visitor."""

    def __init__(self, connection: BlockingConnection, steps: Steps) -> None:
        self._connection = connection
        self._steps = steps

    def run(self, records: str) -> None:
        """Go through all steps; `records` is the file to import.

        Raises: Failure, VerificationError, CallError, OSError.
        """
        with self._steps.step("What auth recorded about it"):
            self._show_own_events()
        with self._steps.step("Take a signed checkpoint"):
            before = self._checkpoint()
        with self._steps.step("Import real CloudTrail records"):
            self._import(records)
        with self._steps.step("List and filter"):
            chosen = self._list()
        with self._steps.step("Prove one event"):
            after = self._prove(chosen)
        with self._steps.step("Prove that nothing was changed since the first checkpoint"):
            self._prove_consistency(before, after)

    def _show_own_events(self) -> None:
        """Auth hands its events on by itself, soon after the answer; wait for them."""
        give_up_at = time.monotonic() + _AUTH_LIMIT_S
        while True:
            events = self._find(audit_pb2.ListEventsRequest(page_size=_SHOWN))
            if {event.action for event in events} >= _AUTH_ACTIONS:
                break
            if time.monotonic() > give_up_at:
                raise Failure(
                    f"auth's own events did not arrive within {_AUTH_LIMIT_S:.0f} seconds"
                )
            time.sleep(_LOOK_AGAIN_S)
        self._steps.console.print(event_table("", events))

    def _checkpoint(self) -> SignedCheckpoint:
        log = self._connection.log
        request = audit_pb2.GetCheckpointRequest()
        signed = check_answer(self._connection.call(log.GetCheckpoint, request))
        self._steps.tell(f"{signed.size} entries, root {signed.root_text}")
        self._steps.tell("its signature is good")
        return signed

    def _import(self, records: str) -> None:
        tally = import_file(records, CLOUDTRAIL, self._connection, notices())
        self._steps.tell(str(tally))
        if tally.skipped:
            raise Failure(f"{tally.skipped} records were skipped", ExitCode.INVALID)

    def _list(self) -> audit_pb2.Event:
        """Show three questions and their answers; return the latest event that was denied."""
        denied = self._find(
            audit_pb2.ListEventsRequest(page_size=_SHOWN, outcome=audit_pb2.OUTCOME_DENIED)
        )
        if not denied:
            raise Failure("the imported records hold no denied event", ExitCode.NOT_FOUND)
        chosen = denied[0]
        who = chosen.actor.name or chosen.actor.id
        by_actor = audit_pb2.ListEventsRequest(page_size=_SHOWN, actor_id=chosen.actor.id)
        by_action = audit_pb2.ListEventsRequest(page_size=_SHOWN, action=_SHOWN_ACTION)
        for title, events in (
            ("The latest attempts that were denied", denied),
            (f"The latest of {who}", self._find(by_actor)),
            (f"The latest {_SHOWN_ACTION}", self._find(by_action)),
        ):
            self._steps.console.print(event_table(title, events))
        return chosen

    def _prove(self, chosen: audit_pb2.Event) -> SignedCheckpoint:
        """Fetch one event with its proof, and verify every link of the chain here."""
        call, events, log = self._connection.call, self._connection.events, self._connection.log
        self._steps.tell(f"event {chosen.id}")
        self._steps.tell(f"{chosen.action}, {outcome_text(chosen)}")
        answer = call(events.GetEvent, audit_pb2.GetEventRequest(event_id=chosen.id))
        leaf = check_event(answer)
        hidden = ", ".join(sorted(leaf.opened.disclosed))
        self._steps.tell(f"its leaf, {len(answer.leaf)} bytes, commits by digests to {hidden}")
        signed = self._checkpoint()
        request = audit_pb2.GetInclusionProofRequest(event_id=chosen.id, tree_size=signed.size)
        proof = call(log.GetInclusionProof, request).proof
        check_inclusion(leaf, chosen.log_index, proof, signed)
        self._steps.tell(
            f"{len(proof.hashes)} hashes lead from leaf {chosen.log_index} to that root: verified"
        )
        return signed

    def _prove_consistency(self, before: SignedCheckpoint, after: SignedCheckpoint) -> None:
        request = audit_pb2.GetConsistencyProofRequest(
            first_size=before.size, second_size=after.size
        )
        proof = self._connection.call(self._connection.log.GetConsistencyProof, request)
        check_consistency(before, after, proof)
        self._steps.tell(f"the log of {after.size} entries extends that of {before.size}: verified")

    def _find(self, request: audit_pb2.ListEventsRequest) -> list[audit_pb2.Event]:
        return list(self._connection.call(self._connection.events.ListEvents, request).events)


def show_next(steps: Steps, visitor: Visitor, address: str, *, stays: bool) -> None:
    """The commands to type next."""
    console = steps.console
    console.print()
    console.print("Next", style="bold")
    if not stays:
        say(console, "make up    # the stack of this demo has stopped; its data stays")
    say(console, "export SMART_AUDIT_PROFILE=demo")
    say(
        console,
        f"echo '{visitor.password}' | {command()} login --email {visitor.email}"
        f" --profile demo --address {address}",
    )
    say(console, f"{command()} log verify    # and again later: it remembers")
    say(console, f"{command()} events list --filter outcome=DENIED")
    say(console, f"{command()} top")
