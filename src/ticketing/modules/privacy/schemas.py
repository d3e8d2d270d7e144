"""Request bodies of personal data."""

from pydantic import Field

from ticketing.infra.http.fields import Body
from ticketing.modules import iam


class EraseMe(Body):
    """The password is required, because an open browser must not be enough.

    `give_up_tickets`: erase even with tickets for future events. Their codes stay valid.
    """

    password: iam.Password
    #: Required for accounts with a second factor.
    code: iam.OneTimeCode | None = Field(None, repr=False)
    give_up_tickets: bool = False
