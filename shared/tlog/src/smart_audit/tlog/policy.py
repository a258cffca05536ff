"""Trust policies: which logs are believed, and whose cosignatures it takes.

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> <k, any or all> <name of a witness or group> …
    quorum <name, or none>

A checkpoint is believed when one of the logs signed it and the witnesses that cosigned it reach
the quorum. Names are the policy's own; keys decide who a witness is.

Logs have Ed25519 keys (type 0x01), witnesses cosignature keys (type 0x04); a policy with a key
of another type is refused whole, since leaving a witness out would change what it asks for.

Source: C2SP tlog-policy.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from smart_audit.tlog.checkpoint import Checkpoint, CheckpointError
from smart_audit.tlog.cosignature import CosignatureVerifier
from smart_audit.tlog.note import Note, NoteError, NoteSignature, Verifier, open_note

MAX_POLICY_SIZE: Final = 1_000_000  # bytes
NO_QUORUM: Final = "none"

_NOT_ALLOWED: Final = re.compile(rb"[^\t\n\x20-\x7e\x80-\xff]")
_SPACE: Final = re.compile(r"[ \t]+")  # no other character separates, whatever Unicode says
_THRESHOLD: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


_Key = TypeVar("_Key", str, bytes)


class PolicyError(ValueError):
    """A text that is not a policy, or a note that the policy refuses; the message says why."""


@dataclass(frozen=True, slots=True)
class PolicyLog:
    """A log that is believed. Its key's name is the origin of its checkpoints."""

    verifier: Verifier
    url: str | None


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness. name: within the policy; url: by recommendation its submission prefix."""

    name: str
    verifier: CosignatureVerifier
    url: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """Witnesses and earlier groups, of which `threshold` must have cosigned."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy, as `parse` reads it; groups stand behind their members.

    quorum: the name of a witness or group; NO_QUORUM asks for no cosignature.
    """

    logs: tuple[PolicyLog, ...]
    witnesses: tuple[Witness, ...]
    groups: tuple[Group, ...]
    quorum: str

    @classmethod
    def parse(cls, data: bytes | str) -> "Policy":
        """Read a policy file. The newline below the last line may be missing.

        Raises: PolicyError, which names the line.
        """
        reader = _Reader()
        for number, line in enumerate(_decode(data).split("\n"), start=1):
            words = [word for word in _SPACE.split(line) if word]
            if not words or words[0].startswith("#"):
                continue
            try:
                reader.read(words)
            except (PolicyError, NoteError) as error:
                raise PolicyError(f"line {number}: {error}") from error
        if reader.quorum is None:
            raise PolicyError("the policy has no quorum line")
        return cls(tuple(reader.logs), tuple(reader.witnesses), tuple(reader.groups), reader.quorum)

    def satisfied(self, verified: Iterable[NoteSignature]) -> bool:
        """Whether the witnesses of these signatures reach the quorum.

        verified: signatures which `open_note` has verified; others than witnesses' are ignored.
        """
        if self.quorum == NO_QUORUM:
            return True
        makers = {(signature.name, signature.key_id) for signature in verified}
        reached = {
            witness.name
            for witness in self.witnesses
            if (witness.verifier.name, witness.verifier.key_id) in makers
        }
        for group in self.groups:
            if sum(member in reached for member in group.members) >= group.threshold:
                reached.add(group.name)
        return self.quorum in reached

    def open(self, data: bytes | str) -> tuple[Checkpoint, Note]:
        """Take a checkpoint's note apart and believe it, if the policy does.

        Raises: PolicyError when no log of the policy signed it under its own origin, a known
        signature is bad, or the quorum is not reached.
        """
        logs = [log.verifier for log in self.logs]
        try:
            note = open_note(data, [*logs, *(witness.verifier for witness in self.witnesses)])
            checkpoint = Checkpoint.parse(note.text)
        except (NoteError, CheckpointError) as error:
            raise PolicyError(str(error)) from error
        makers = {(signature.name, signature.key_id) for signature in note.verified}
        # The key of one log must not vouch for another log.
        if not any(
            log.name == checkpoint.origin and (log.name, log.key_id) in makers for log in logs
        ):
            raise PolicyError(f"no known log signed this checkpoint of {checkpoint.origin}")
        if not self.satisfied(note.verified):
            raise PolicyError(f"the cosignatures do not reach the quorum {self.quorum}")
        return checkpoint, note


@dataclass(slots=True)
class _Reader:
    """What the lines so far define."""

    logs: list[PolicyLog] = field(default_factory=list)
    witnesses: list[Witness] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    quorum: str | None = None
    _names: set[str] = field(default_factory=lambda: {NO_QUORUM})
    _members: set[str] = field(default_factory=set)
    _log_keys: set[bytes] = field(default_factory=set)
    _witness_keys: set[bytes] = field(default_factory=set)

    def read(self, words: Sequence[str]) -> None:
        """Raises: PolicyError, NoteError."""
        match words:
            case ["log", vkey, *rest] if len(rest) <= 1:
                log = PolicyLog(Verifier.parse(vkey), _first(rest))
                _add(log.verifier.public_key, self._log_keys, f"the key of {log.verifier.name}")
                self.logs.append(log)
            case ["witness", name, vkey, *rest] if len(rest) <= 1:
                witness = Witness(name, CosignatureVerifier.parse(vkey), _first(rest))
                _add(name, self._names, f"the name {name}")
                _add(witness.verifier.public_key, self._witness_keys, f"the key of {name}")
                self.witnesses.append(witness)
            case ["group", name, threshold, *members] if members:
                for member in members:
                    self._require_known(member)
                    _add(member, self._members, f"the member {member}")
                needed = _threshold(threshold, len(members))
                _add(name, self._names, f"the name {name}")
                self.groups.append(Group(name, needed, tuple(members)))
            case ["quorum", name]:
                if self.quorum is not None:
                    raise PolicyError("a second quorum line")
                if name != NO_QUORUM:
                    self._require_known(name)
                self.quorum = name
            case _:
                raise PolicyError(f"{' '.join(words)!r} is not a line of a policy")

    def _require_known(self, name: str) -> None:
        if name == NO_QUORUM or name not in self._names:
            raise PolicyError(f"{name} is not the name of a witness or group above")


def _add(value: _Key, known: set[_Key], what: str) -> None:
    if value in known:
        raise PolicyError(f"{what} is given a second time")
    known.add(value)


def _first(words: Sequence[str]) -> str | None:
    return words[0] if words else None


def _threshold(text: str, members: int) -> int:
    if text in {"any", "all"}:
        return 1 if text == "any" else members
    if not _THRESHOLD.fullmatch(text) or int(text) > members:
        raise PolicyError(f"{text!r} is not any, all or a number from 1 to {members}")
    return int(text)


def _decode(data: bytes | str) -> str:
    """Names are opaque bytes: what is not UTF-8 must differ, and need not be readable."""
    try:
        raw = data.encode(errors="surrogateescape") if isinstance(data, str) else data
    except UnicodeEncodeError as error:
        raise PolicyError("the policy has a lone surrogate") from error
    if len(raw) > MAX_POLICY_SIZE:
        raise PolicyError(f"the policy has more than {MAX_POLICY_SIZE} bytes")
    if _NOT_ALLOWED.search(raw):
        raise PolicyError("the policy has a control character")
    return raw.decode(errors="surrogateescape")
