"""What AWS's operations mean, from the service models of the botocore package, an extra.

They describe most of what CloudTrail records, in the words of the vendor's documentation, so that
the registry of event types can tell what "PutRolePolicy" is.
"""

import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any, Final, NamedTuple

MAX_DESCRIPTION: Final = 300
"""Characters; the contract takes more, and what matters comes first."""
SENTENCES: Final = 2

# Under which names botocore keeps a service whose CloudTrail name is another.
_MODELS: Final[Mapping[str, Sequence[str]]] = {
    "airflow": ["mwaa"],
    "aoss": ["opensearchserverless"],
    "apigateway": ["apigateway", "apigatewayv2"],
    "aps": ["amp"],
    "elasticfilesystem": ["efs"],
    "elasticloadbalancing": ["elbv2", "elb"],
    "elasticmapreduce": ["emr"],
    "es": ["opensearch", "es"],
    "kinesisanalytics": ["kinesisanalyticsv2", "kinesisanalytics"],
    "monitoring": ["cloudwatch"],
    "s3": ["s3", "s3control"],
    "ses": ["sesv2", "ses"],
    "states": ["stepfunctions"],
    "tagging": ["resourcegroupstaggingapi"],
}
# CreateFunction20150331v2: CloudTrail adds the version of the interface.
_DATED: Final = re.compile(r"(?<=[a-z])\d{8}(?:v\d+)?$")
_NOTE: Final = re.compile(r"<(note|important|dl|ul|ol|table)\b.*?</\1>", re.DOTALL)
_TAG: Final = re.compile(r"<[^>]*>")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_WORD_START: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Operation(NamedTuple):
    """An operation as the vendor documents it."""

    action: str
    """As the importer names it: "iam.PutRolePolicy"."""
    display_name: str
    description: str


class BotocoreMissing(Exception):
    """The package is not installed; the message says how to install it."""


def operations(actions: Iterable[str]) -> Iterator[Operation]:
    """What is documented of these actions; those that are not are left out.

    Raises: BotocoreMissing.
    """
    loader = _loader()
    known = frozenset(loader.list_available_services("service-2"))
    for action in dict.fromkeys(actions):
        service, _, name = action.partition(".")
        for model in _MODELS.get(service, [service]):
            text = _documented(loader, model).get(_DATED.sub("", name)) if model in known else None
            if text:
                yield Operation(action, _spoken(name), text)
                break


def _loader() -> Any:
    try:
        loaders = import_module("botocore.loaders")
    except ImportError as error:
        raise BotocoreMissing(
            "descriptions of AWS operations need botocore: "
            "pip install 'smart-audit-client[cloudtrail]'"
        ) from error
    return loaders.Loader()


@lru_cache(maxsize=64)
def _documented(loader: Any, model: str) -> dict[str, str]:
    """The short description of each operation of a service."""
    found = loader.load_service_model(model, "service-2")["operations"]
    return {name: short(one.get("documentation", "")) for name, one in found.items()}


def short(documentation: str) -> str:
    """The first two sentences of a documentation in HTML, as plain text."""
    plain = html.unescape(_TAG.sub(" ", _NOTE.sub(" ", documentation)))
    sentences = _SENTENCE_END.split(" ".join(plain.split()))
    text = " ".join(sentences[:SENTENCES]).replace(" .", ".").replace(" ,", ",")
    if len(text) <= MAX_DESCRIPTION:
        return text
    return f"{text[: MAX_DESCRIPTION - 1].rpartition(' ')[0]}…"


def _spoken(name: str) -> str:
    """The operation's name for people: "Put role policy"."""
    first, *others = _WORD_START.split(_DATED.sub("", name))
    return " ".join([first, *(one if one.isupper() else one.lower() for one in others)])
