"""The token of an emailed link: the row's id and a keyed digest of it.

Read access to the database, the message log or a backup is not enough to forge a link. An email that is sent again
contains the same link.
"""

import base64
import re
from contextlib import suppress
from uuid import UUID

from ticketing.infra import security
from ticketing.infra.errors import Invalid
from ticketing.modules.iam.mail_tokens.models import MailToken, Purpose

#: 16 bytes of id and 32 of digest: 48 bytes encode to exactly 64 characters, so the encoding is unambiguous.
_FORM = re.compile(r"[A-Za-z0-9_-]{64}")


class LinkInvalid(Invalid):
    """This link is not valid any more: it was used, replaced by a newer one, or has expired. Ask for a new one."""

    code = "link_invalid"


def write_link(token: MailToken) -> str:
    """Return the fragment of the link."""
    return write_token(token.id, token.purpose)


def write_token(row_id: UUID, purpose: str) -> str:
    """Return the token of a link that names this row."""
    digest = security.keyed_digest(row_id.bytes, _key_for(purpose))
    return base64.urlsafe_b64encode(row_id.bytes + digest).decode()


def read_link(text: str, purpose: Purpose) -> UUID:
    """Return the row id in this link, without database access: the row may be used or expired. Raises LinkInvalid."""
    return read_token(text, purpose)


def read_token(text: str, purpose: str) -> UUID:
    """Return the row id in this token.

    Raises:
        LinkInvalid: the link is not genuine or has another purpose.
    """
    if not _FORM.fullmatch(text):
        raise LinkInvalid(field="token")
    raw = base64.urlsafe_b64decode(text)
    if not security.is_keyed_digest(raw[16:], raw[:16], _key_for(purpose)):
        raise LinkInvalid(field="token")
    return UUID(bytes=raw[:16])


def read_purpose(text: str, *purposes: Purpose) -> tuple[Purpose, UUID]:
    """Return which of these purposes the link has, and its row id. Raises LinkInvalid."""
    for purpose in purposes[:-1]:
        with suppress(LinkInvalid):
            return purpose, read_link(text, purpose)
    return purposes[-1], read_link(text, purposes[-1])


def _key_for(purpose: str) -> str:
    return f"mail_token:{purpose}"
