"""Messages about accounts. They contain no name and no address, because the log outlives an erasure."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from ticketing.infra.outbox import Message


class UserRegistered(Message):
    """An account was created."""

    topic: ClassVar[str] = "user.registered"
    key_field: ClassVar[str] = "user_id"

    user_id: UUID


class EmailVerificationRequested(Message):
    """A verification email was requested; `token_id` is the row behind its link."""

    topic: ClassVar[str] = "email_verification.requested"
    key_field: ClassVar[str] = "user_id"

    user_id: UUID
    token_id: UUID


class EmailVerified(Message):
    """The verification link was used: the address belongs to the user."""

    topic: ClassVar[str] = "email.verified"
    key_field: ClassVar[str] = "user_id"

    user_id: UUID


class RecipientConfirmed(Message):
    """An address wants the emails about a person's orders; `token_id` is the row with the address."""

    topic: ClassVar[str] = "recipient.confirmed"
    key_field: ClassVar[str] = "user_id"

    user_id: UUID
    token_id: UUID


class PasswordResetRequested(Message):
    """A password reset was requested. The address in row `token_id` may or may not belong to an account."""

    topic: ClassVar[str] = "password_reset.requested"
    key_field: ClassVar[str] = "token_id"

    token_id: UUID


class PasswordChanged(Message):
    """The password of an account was changed."""

    topic: ClassVar[str] = "user.password_changed"
    key_field: ClassVar[str] = "user_id"

    user_id: UUID


class SessionEnded(Message):
    """A session was ended before it expired; `reason` is one of `EndReason`."""

    topic: ClassVar[str] = "session.ended"
    key_field: ClassVar[str] = "user_id"

    user_id: UUID
    session_id: UUID
    reason: str = Field(description="why it was ended")


class UserErased(Message):
    """The account was erased; consumers delete the name and the address that they store."""

    topic: ClassVar[str] = "user.erased"
    key_field: ClassVar[str] = "user_id"

    user_id: UUID


class SecondFactorEnabled(Message):
    """Login of this account requires a code from now on."""

    topic: ClassVar[str] = "second_factor.enabled"
    key_field: ClassVar[str] = "user_id"

    user_id: UUID


class SecondFactorDisabled(Message):
    """Login of this account requires only the password again."""

    topic: ClassVar[str] = "second_factor.disabled"
    key_field: ClassVar[str] = "user_id"

    user_id: UUID
