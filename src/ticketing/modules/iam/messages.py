"""Facts about people. They carry no name and no address: the log is kept longer than a person may want."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from ticketing.infra.outbox import Message


class UserRegistered(Message):
    """Somebody has an account now."""

    topic: ClassVar[str] = "user.registered"
    key_field: ClassVar[str] = "user_id"

    user_id: UUID


class EmailVerificationRequested(Message):
    """A letter is wanted that proves whose address it is; `token_id` is the row behind its link."""

    topic: ClassVar[str] = "email_verification.requested"
    key_field: ClassVar[str] = "user_id"

    user_id: UUID
    token_id: UUID


class EmailVerified(Message):
    """The link came back: this person reads what comes to their address."""

    topic: ClassVar[str] = "email.verified"
    key_field: ClassVar[str] = "user_id"

    user_id: UUID


class PasswordResetRequested(Message):
    """Somebody has forgotten a password. Whose, if anybody's, is not known yet: the row `token_id` has the address."""

    topic: ClassVar[str] = "password_reset.requested"
    key_field: ClassVar[str] = "token_id"

    token_id: UUID


class PasswordChanged(Message):
    """Somebody has another password now."""

    topic: ClassVar[str] = "user.password_changed"
    key_field: ClassVar[str] = "user_id"

    user_id: UUID


class SessionEnded(Message):
    """A log-in was ended before its time; `reason` is one of `EndReason`."""

    topic: ClassVar[str] = "session.ended"
    key_field: ClassVar[str] = "user_id"

    user_id: UUID
    session_id: UUID
    reason: str = Field(description="why it was ended, in a word")


class UserErased(Message):
    """This person is nobody here any more; whoever holds their name or address forgets it."""

    topic: ClassVar[str] = "user.erased"
    key_field: ClassVar[str] = "user_id"

    user_id: UUID


class SecondFactorEnabled(Message):
    """This person is asked for a code at log-in from here on."""

    topic: ClassVar[str] = "second_factor.enabled"
    key_field: ClassVar[str] = "user_id"

    user_id: UUID


class SecondFactorDisabled(Message):
    """A password alone opens this account again."""

    topic: ClassVar[str] = "second_factor.disabled"
    key_field: ClassVar[str] = "user_id"

    user_id: UUID
