"""Page sizes and page tokens of lists that are ordered by id (AIP-158)."""

import base64
from typing import Protocol
from uuid import UUID

from smart_audit.auth.errors import PageTokenInvalid

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 500
UNREADABLE = "is not a page token; start again without one"


class Paged(Protocol):
    """A request for a page."""

    page_size: int
    page_token: str


def to_page_size(request: Paged) -> int:
    """How many things to list: too many are made fewer."""
    return min(request.page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def to_place(request: Paged) -> UUID | None:
    """The id behind which the page begins. Raises: PageTokenInvalid."""
    if not request.page_token:
        return None
    try:
        return UUID(bytes=base64.b64decode(request.page_token, altchars=b"-_", validate=True))
    except ValueError as error:
        raise PageTokenInvalid(
            f"page_token {UNREADABLE}", fields={"page_token": UNREADABLE}
        ) from error


def to_page_token(last: UUID | None) -> str:
    """The token of the page behind an id; empty for None. It names a place and gives no right."""
    return "" if last is None else base64.urlsafe_b64encode(last.bytes).decode()
