"""Request and response bodies of accounts and sessions."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from ticketing.infra.http.fields import Body, Email, Moment, Name, Out
from ticketing.modules.iam.models import LogInSession
from ticketing.modules.iam.passwords import LENGTH_MAX, LENGTH_MIN, normalize_password, refuse_guessable

_normal = AfterValidator(normalize_password)

# `repr=False` keeps secrets out of logs and tracebacks.
NewPassword = Annotated[
    str,
    StringConstraints(min_length=LENGTH_MIN, max_length=LENGTH_MAX),
    _normal,
    AfterValidator(refuse_guessable),
    Field(repr=False),
]
Password = Annotated[str, StringConstraints(min_length=1, max_length=LENGTH_MAX), _normal, Field(repr=False)]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=200), Field(repr=False)]
#: Six digits of an authenticator app, or a recovery code, with any spaces and dashes.
OneTimeCode = Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=r"^[0-9A-Za-z -]+$")]


class Register(Body):
    email: Email
    password: NewPassword
    display_name: Name | None = None


class LogIn(Body):
    email: Email
    password: Password
    #: For accounts with a second factor, after a `second_factor_required` error.
    code: Annotated[OneTimeCode | None, Field(repr=False)] = None


class Refresh(Body):
    refresh_token: Secret


class ChangePassword(Body):
    current_password: Password
    new_password: NewPassword


class VerifyEmail(Body):
    #: The fragment of the emailed link, without the `#`.
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
    """A login session: send the access token as `Authorization: Bearer`; the refresh token gets the next pair, once."""

    user: UserOut
    access_token: str
    refresh_token: str
    token_type: str = "bearer"  # noqa: S105
    #: Seconds until the access token expires.
    expires_in: int


class SessionOut(Out):
    """A login session, with the client that last refreshed it, so that its user can recognise it."""

    id: UUID
    created_at: Moment
    #: Accurate to the lifetime of an access token.
    last_used_at: Moment
    expires_at: Moment
    user_agent: str
    address: str
    #: The session of this request.
    is_current: bool

    @classmethod
    def of(cls, row: LogInSession, current: UUID) -> Self:
        seen = {name: getattr(row, name) for name in cls.model_fields if name != "is_current"}
        return cls(**seen, is_current=row.id == current)
