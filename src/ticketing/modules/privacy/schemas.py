"""What somebody sends who wants to be forgotten."""

from pydantic import Field

from ticketing.infra.http.fields import Body
from ticketing.modules import iam


class EraseMe(Body):
    """The password, because a borrowed browser must not be enough.

    `give_up_tickets`: yes, also with tickets for events to come. They go on admitting whoever has their code.
    """

    password: iam.Password
    #: Of the second factor, for whoever has one.
    code: iam.OneTimeCode | None = Field(None, repr=False)
    give_up_tickets: bool = False
