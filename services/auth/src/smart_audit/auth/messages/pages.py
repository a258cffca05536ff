"""Page sizes and page tokens (AIP-158): where a page ends, bound to the filters it was made by."""

import base64
import hashlib
from typing import TypeAlias
from uuid import UUID

from google.protobuf.message import Message

from smart_audit.api.auth.v1 import machines_pb2, organisations_pb2
from smart_audit.auth.errors import PageTokenInvalid

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 500
FINGERPRINT_CHARS = 16
PAGE_FIELDS = ("page_size", "page_token")

Paged: TypeAlias = (
    machines_pb2.ListServiceAccountsRequest
    | machines_pb2.ListApiKeysRequest
    | organisations_pb2.ListOrganisationsRequest
    | organisations_pb2.ListMembersRequest
    | organisations_pb2.ListInvitationsRequest
)


def to_page_size(asked: int, most: int) -> int:
    """How many things to list: too many are made fewer."""
    return min(asked or DEFAULT_PAGE_SIZE, most)


def to_page_token(place: str, request: Message) -> str:
    """The token of the page that begins behind `place`; empty when there is none.

    It names a place and gives no right.
    """
    if not place:
        return ""
    return base64.urlsafe_b64encode((_fingerprint(request) + place).encode()).decode()


def to_place(token: str, request: Message) -> str:
    """Where the page begins; empty for the first one. Raises: PageTokenInvalid."""
    if not token:
        return ""
    try:
        text = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError as error:
        raise bad_page_token("is not a page token; start again without one") from error
    fingerprint, place = text[:FINGERPRINT_CHARS], text[FINGERPRINT_CHARS:]
    if fingerprint != _fingerprint(request):
        raise bad_page_token("belongs to other filters; start again without one")
    return place


def to_size(request: Paged) -> int:
    """How many things of a list that is ordered by id."""
    return to_page_size(request.page_size, MAX_PAGE_SIZE)


def to_last(request: Paged) -> UUID | None:
    """The id behind which the page begins. Raises: PageTokenInvalid."""
    place = to_place(request.page_token, request)
    return UUID(place) if place else None


def to_next(last: UUID | None, request: Paged) -> str:
    """The token of the page behind an id; empty for None."""
    return to_page_token(str(last or ""), request)


def bad_page_token(what: str) -> PageTokenInvalid:
    """The refusal of a page token."""
    return PageTokenInvalid(f"page_token {what}", fields={"page_token": what})


def _fingerprint(request: Message) -> str:
    """What must stay the same from page to page: everything but the page."""
    filters = type(request)()
    filters.CopyFrom(request)
    for field in PAGE_FIELDS:
        filters.ClearField(field)
    kind = request.DESCRIPTOR.full_name.encode()
    digest = hashlib.sha256(kind + filters.SerializeToString(deterministic=True))
    return digest.hexdigest()[:FINGERPRINT_CHARS]
