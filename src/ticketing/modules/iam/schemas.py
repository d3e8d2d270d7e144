"""What people send to get in, and what they get."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from ticketing.infra.http.fields import Body, Email, Moment, Name, Out
from ticketing.modules.iam.models import LogInSession
from ticketing.modules.iam.passwords import LENGTH_MAX, LENGTH_MIN, normalize_password, refuse_guessable

_normal = AfterValidator(normalize_password)

# `repr=False`: a body that ends up in a log line or a traceback does not take its secrets along.
NewPassword = Annotated[
    str,
    StringConstraints(min_length=LENGTH_MIN, max_length=LENGTH_MAX),
    _normal,
    AfterValidator(refuse_guessable),
    Field(repr=False),
]
Password = Annotated[str, StringConstraints(min_length=1, max_length=LENGTH_MAX), _normal, Field(repr=False)]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=200), Field(repr=False)]
#: Six digits of an authenticator app, or a recovery code, with whatever spaces and dashes it was typed.
OneTimeCode = Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=r"^[0-9A-Za-z -]+$")]


class Register(Body):
    email: Email
    password: NewPassword
    display_name: Name | None = None


class LogIn(Body):
    email: Email
    password: Password
    #: For accounts with a second factor, once the answer was `second_factor_required`.
    code: Annotated[OneTimeCode | None, Field(repr=False)] = None


class Refresh(Body):
    refresh_token: Secret


class ChangePassword(Body):
    current_password: Password
    new_password: NewPassword


class VerifyEmail(Body):
    #: What stands behind the `#` of the link in the letter.
    token: Secret


class AskForReset(Body):
    email: Email


class ResetPassword(Body):
    token: Secret
    password: NewPassword


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


class SessionOut(Out):
    """One log-in. Where it was last refreshed from is shown to its owner, who knows best whether that was them."""

    id: UUID
    created_at: Moment
    #: True to the life of an access token.
    last_used_at: Moment
    expires_at: Moment
    user_agent: str
    address: str
    #: The log-in that asks.
    is_current: bool

    @classmethod
    def of(cls, row: LogInSession, current: UUID) -> Self:
        seen = {name: getattr(row, name) for name in cls.model_fields if name != "is_current"}
        return cls(**seen, is_current=row.id == current)
