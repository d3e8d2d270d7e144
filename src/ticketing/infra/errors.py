"""Errors know their status and code; a class's docstring is what the client reads. One handler renders them all."""

from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ticketing.infra import log
from ticketing.infra.http import security_headers
from ticketing.infra.http.envelope import error_response

_log = log.get_logger(__name__)


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


_HTTP_CODES = {
    400: ("malformed", "This request can't be read."),
    404: ("not_found", "There is no such thing here."),
    405: ("method_not_allowed", "This address does not take that method."),
    408: ("too_slow", "The request took too long to arrive."),
    413: ("too_large", "The request body is too large."),
    415: ("unsupported_media_type", "Send JSON with Content-Type: application/json."),
}


def install(app: FastAPI) -> None:
    """Register the one handler, and the translations of what the framework and the driver raise."""
    app.add_exception_handler(TicketingError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    for lost in (OperationalError, InterfaceError, PoolTimeout):
        app.add_exception_handler(lost, _on_lost_database)
    app.add_exception_handler(Exception, _on_bug)


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, TicketingError)  # noqa: S101 (narrowing for the type checker)
    response = render(error)
    claim = getattr(request.state, "claim", None)
    if claim is not None:  # an Idempotency-Key was sent: a retry is to read this very answer
        await claim.remember_failure(request.app.state.database, response, error)
    return response


def render(error: TicketingError) -> Response:
    """The envelope of one error, with Retry-After where a retry makes sense."""
    response = error_response(error.status, error.message, [error.as_entry()])
    if error.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    entries = error.errors()
    if any(e["type"] == "json_invalid" for e in entries):
        return render(BadRequest("The request body is not valid JSON."))
    content_type = request.headers.get("content-type", "")
    if request.method in {"POST", "PATCH", "PUT", "DELETE"} and _is_other_media(request, content_type):
        return error_response(415, _HTTP_CODES[415][1], [{"code": _HTTP_CODES[415][0], "message": _HTTP_CODES[415][1]}])
    # A body that a dependency reads as well is validated, and found wrong, more than once.
    unique = {(entry["field"], entry["message"]): entry for entry in map(_field_entry, entries)}
    return error_response(422, "Some values are not valid.", list(unique.values()))


def _is_other_media(request: Request, content_type: str) -> bool:
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    return has_body and "json" not in content_type


def _field_entry(entry: dict[str, Any]) -> dict[str, Any]:
    # The first part says where (body, query, path, header); a client knows that, the field is what it can change.
    path = [str(part) for part in entry["loc"] if part not in {"body", "query", "path", "header"}]
    message = str(entry["msg"]).removeprefix("Value error, ")
    return {"code": "invalid", "message": message, "field": ".".join(path) or "body"}


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    return render_http(error)


def render_http(error: HTTPException) -> Response:
    """The envelope of what the framework, or what reads a body, has refused."""
    code, message = _HTTP_CODES.get(error.status_code, ("malformed", "This request can't be served."))
    response = error_response(error.status_code, message, [{"code": code, "message": message}])
    response.headers.update(error.headers or {})
    return response


async def _on_lost_database(request: Request, error: Exception) -> Response:
    _log.warning("database_unavailable", error=type(error).__name__)
    return render(Unavailable())


async def _on_bug(request: Request, error: Exception) -> Response:
    # The text of the exception stays in our log: it may hold SQL, values or paths.
    _log.error("unhandled_error", exc_info=error, path=request.url.path)
    response = error_response(
        500,
        "Something went wrong on our side. Nothing was changed.",
        [{"code": "internal", "message": "Something went wrong on our side."}],
    )
    # The framework calls this handler outside of our middleware, which sets the headers of every other answer.
    response.headers["X-Correlation-ID"] = log.correlation_id.get()
    headers = security_headers.defaults(request.app.state.settings)
    response.raw_headers = security_headers.complete(response.raw_headers, headers)
    return response
