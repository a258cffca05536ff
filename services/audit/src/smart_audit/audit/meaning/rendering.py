"""A kind of event in words: what is done, to what, in which service, how it ended.

The text is what models embed, what the full text of kinds is made of, and what a person reads.
"""

from functools import lru_cache
from typing import Final

from smart_audit.audit.domain import Outcome
from smart_audit.audit.meaning.features import DESCRIBED, Kind, parse, undated
from smart_audit.audit.meaning.lexicon import lexicon
from smart_audit.audit.meaning.reasons import GAP
from smart_audit.audit.meaning.wording import stem, words

VERSION: Final = 1
"""Of the texts. Whoever changes them raises it, and all are embedded anew."""
MAX_DESCRIBED: Final = 300
"""Characters of what an event type's registration adds."""
_ENDINGS: Final = {Outcome.SUCCESS: "", Outcome.FAILURE: "failed", Outcome.DENIED: "denied"}


def text(kind: Kind) -> str:
    """The kind in words: "get secret value. secretsmanager secrets manager. contents of …"."""
    parts = (
        _operation(kind),
        _context(kind.action),
        _told(kind.action),
        _targets(kind.action, kind.target_types),
        _ending(kind),
    )
    return ". ".join(filter(None, parts))


def described(text: str, display_name: str, description: str) -> str:
    """The text of a kind with the name and the description of its event type, a line each."""
    bare = text.partition(DESCRIBED)[0]
    name, what = (" ".join(one.split()) for one in (display_name, description))
    return f"{bare}{DESCRIBED}{name}{DESCRIBED}{what[:MAX_DESCRIBED]}" if name or what else bare


def _operation(kind: Kind) -> str:
    action = parse(kind.action)
    return _spoken(f"{action.operation} {action.things}")


def _context(action: str) -> str:
    """Where it happens: the services' names in words, and the segments that have none."""
    names = lexicon().names
    found = ((one.lower(), names.get(one.lower())) for one in parse(action).context)
    return ", ".join(f"{one} {name}" if name else _spoken(one) for one, name in found)


def _told(action: str) -> str:
    return lexicon().told.get(undated(action), "")


def _targets(action: str, types: tuple[str, ...]) -> str:
    """The types of targets, as far as the action does not name them."""
    said = set(map(stem, words(action)))
    spoken = (words(type_.rpartition(":")[2]) for type_ in types)
    return ", ".join(" ".join(one) for one in spoken if not said.issuperset(map(stem, one)))


def _ending(kind: Kind) -> str:
    ending = _ENDINGS[kind.outcome]
    reason = _spoken(kind.outcome_reason.replace(GAP, " "))
    return f"{ending}: {reason}" if ending and reason else ending or reason


@lru_cache(maxsize=16384)
def _spoken(identifier: str) -> str:
    return " ".join(words(identifier))
