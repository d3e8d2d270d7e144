"""The secret part of a link in a letter: the row's id and a digest of it under a key of ours.

Nobody who reads the database, the log of facts or a backup can write one; and a letter that is sent again has the same.
"""

import base64
import re
from uuid import UUID

from ticketing.infra import security
from ticketing.infra.errors import Invalid
from ticketing.modules.iam.mail_tokens.models import MailToken, Purpose

#: 16 bytes of id and 32 of digest: 48 bytes are 64 letters exactly, so there is one way to write them.
_FORM = re.compile(r"[A-Za-z0-9_-]{64}")


class LinkInvalid(Invalid):
    """This link is not valid any more: it was used, replaced by a newer one, or has run out. Ask for a new one."""

    code = "link_invalid"


def write_link(token: MailToken) -> str:
    """What stands behind the `#` of the link."""
    digest = security.keyed_digest(token.id.bytes, _key_for(token.purpose))
    return base64.urlsafe_b64encode(token.id.bytes + digest).decode()


def read_link(text: str, purpose: Purpose) -> UUID:
    """The id of the row that this link speaks of, which may be used or out of date; asks no database.

    Raises:
        LinkInvalid: we did not write it, or not for this.
    """
    if not _FORM.fullmatch(text):
        raise LinkInvalid(field="token")
    raw = base64.urlsafe_b64decode(text)
    if not security.is_keyed_digest(raw[16:], raw[:16], _key_for(purpose)):
        raise LinkInvalid(field="token")
    return UUID(bytes=raw[:16])


def _key_for(purpose: str) -> str:
    return f"mail_token:{purpose}"
