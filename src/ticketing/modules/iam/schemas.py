"""What people send to get in, and what they get."""

import unicodedata
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from ticketing.infra.fields import Body, Email, Name, Out

# The same characters can be typed as different code points, depending on the keyboard (NIST SP 800-63B §3.1.1.2).
_normal = AfterValidator(lambda password: unicodedata.normalize("NFKC", password))

# `repr=False`: a body that ends up in a log line or a traceback does not take its secrets along.
NewPassword = Annotated[str, StringConstraints(min_length=10, max_length=128), _normal, Field(repr=False)]
Password = Annotated[str, StringConstraints(min_length=1, max_length=128), _normal, Field(repr=False)]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=200), Field(repr=False)]


class Register(Body):
    email: Email
    password: NewPassword
    display_name: Name | None = None


class LogIn(Body):
    email: Email
    password: Password


class Refresh(Body):
    refresh_token: Secret


class UserOut(Out):
    id: UUID
    email: str
    display_name: str | None


class LogInOut(Out):
    """A log-in: the access token goes into `Authorization: Bearer`, the refresh token gets the next pair, once."""

    user: UserOut
    access_token: str
    refresh_token: str
    token_type: str = "bearer"  # noqa: S105
    #: Seconds until the access token runs out.
    expires_in: int
