"""Base classes of API errors, each with its HTTP status and error code.

A class's docstring is the message in the response. `http/error_handlers.py` renders them.
"""

from typing import Any, ClassVar


class TicketingError(Exception):
    """Something went wrong."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    retry_after_seconds: int | None = None

    def __init__(self, message: str | None = None, *, field: str | None = None, **details: Any) -> None:
        self.message = message or (type(self).__doc__ or "").strip().split("\n")[0]
        self.field = field
        self.details = details
        super().__init__(self.message)

    def as_entry(self) -> dict[str, Any]:
        entry = {"code": self.code, "message": self.message, **self.details}
        return entry if self.field is None else {**entry, "field": self.field}


class BadRequest(TicketingError):
    """This request can't be read."""

    status, code = 400, "malformed"


class Unauthenticated(TicketingError):
    """Please log in."""

    status, code = 401, "unauthenticated"


class Forbidden(TicketingError):
    """You are not allowed to do this."""

    status, code = 403, "forbidden"


class NotFound(TicketingError):
    """There is no such thing here."""

    status, code = 404, "not_found"


class Conflict(TicketingError):
    """This is not possible in the present state."""

    status, code = 409, "conflict"


class Invalid(TicketingError):
    """This value is not valid."""

    status, code = 422, "invalid"


class Unavailable(TicketingError):
    """Something that we need is not answering; please try again in a moment."""

    status, code, retry_after_seconds = 503, "dependency_down", 2


class Overloaded(Unavailable):
    """There are more requests than we can take at this moment; nothing was changed, please try again."""

    code, retry_after_seconds = "overloaded", 1
