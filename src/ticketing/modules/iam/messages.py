"""Facts about people. They carry no name and no address: the log is kept longer than a person may want."""

from typing import ClassVar
from uuid import UUID

from ticketing.infra.outbox import Message


class UserRegistered(Message):
    """Somebody has an account now."""

    topic: ClassVar[str] = "user.registered"
    key_field: ClassVar[str] = "user_id"

    user_id: UUID
