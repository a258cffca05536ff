"""Cursors: where a stream resumes, for the organisation whose log it is and for nobody else."""

import hmac
from base64 import b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Callable

from smart_audit.audit.domain import OrganisationId
from smart_audit.audit.errors import CursorInvalid

LABEL = b"smart-audit tail cursor v1\n"
PLACE_BYTES = 8
MAC_BYTES = 16


class Cursors:
    """Makes and reads cursors.

    authenticate: gives a MAC of 32 bytes under the installation's key.
    """

    def __init__(self, authenticate: Callable[[bytes], bytes]) -> None:
        self._authenticate = authenticate

    def give(self, organisation_id: OrganisationId, position: int) -> str:
        """The cursor of a place in the log: the index of the entry that comes next."""
        place = position.to_bytes(PLACE_BYTES, "big")
        return urlsafe_b64encode(place + self._mac(organisation_id, place)).decode()

    def read(self, organisation_id: OrganisationId, cursor: str) -> int:
        """The place of a cursor. Raises: CursorInvalid, also for one of another log."""
        try:
            content = b64decode(cursor, altchars=b"-_", validate=True)
        except (Error, ValueError) as error:
            raise invalid_cursor("is not a cursor of a stream") from error
        place, mac = content[:PLACE_BYTES], content[PLACE_BYTES:]
        if not hmac.compare_digest(mac, self._mac(organisation_id, place)):
            raise invalid_cursor("is not a cursor of this log")
        return int.from_bytes(place, "big")

    def _mac(self, organisation_id: OrganisationId, place: bytes) -> bytes:
        return self._authenticate(LABEL + organisation_id.bytes + place)[:MAC_BYTES]


def invalid_cursor(what: str) -> CursorInvalid:
    """The refusal of a cursor."""
    said = f"{what}; leave it out to begin anew"
    return CursorInvalid(f"cursor {said}", fields={"cursor": said})
