"""Exception handlers: errors of the platform, the framework and the database driver, in one envelope."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ticketing.infra import app_state, log
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.errors import BadRequest, TicketingError, Unavailable
from ticketing.infra.http import idempotency, security_headers
from ticketing.infra.http.envelope import error_response

#: Errors reported for one request, and the length of their `field`.
ENTRIES_MAX = 100
FIELD_LENGTH_MAX = 200

_log = log.get_logger(__name__)

#: Status codes that the framework raises, with the error code and the message of their responses.
HTTP_CODES = {
    400: ("malformed", "This request can't be read."),
    404: ("not_found", "There is no such thing here."),
    405: ("method_not_allowed", "This address does not take that method."),
    408: ("too_slow", "The request took too long to arrive."),
    413: ("too_large", "The request body is too large."),
    415: ("unsupported_media_type", "Send JSON with Content-Type: application/json."),
}


def install(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(TicketingError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    for lost in (OperationalError, InterfaceError, PoolTimeout):
        app.add_exception_handler(lost, _on_lost_database)
    app.add_exception_handler(Exception, _on_bug)


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, TicketingError)
    response = render(error)
    if (claim := idempotency.find_claim(request)) is not None:
        # An Idempotency-Key was sent: a retry gets this same response.
        return await claim.store_error(app_state.of(request.app).get(Database), response, error, render)
    return response


def render(error: TicketingError) -> Response:
    """Return the response to an error, with `Retry-After` where a retry makes sense."""
    response = error_response(error.status, error.message, [error.as_entry()])
    if error.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    entries = error.errors()
    if any(e["type"] == "json_invalid" for e in entries):
        return render(BadRequest("The request body is not valid JSON."))
    content_type = request.headers.get("content-type", "")
    if request.method in {"POST", "PATCH", "PUT", "DELETE"} and _is_other_media(request, content_type):
        return error_response(415, HTTP_CODES[415][1], [{"code": HTTP_CODES[415][0], "message": HTTP_CODES[415][1]}])
    # A body that a dependency reads too is validated, and its errors reported, more than once.
    unique: dict[tuple[str, str], dict[str, Any]] = {}
    for found in entries:
        entry = _field_entry(found)
        unique[entry["field"], entry["message"]] = entry
        if len(unique) == ENTRIES_MAX:
            break
    return error_response(422, "Some values are not valid.", list(unique.values()))


def _is_other_media(request: Request, content_type: str) -> bool:
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    return has_body and "json" not in content_type


def _field_entry(entry: dict[str, Any]) -> dict[str, Any]:
    # The first part says where the field is (body, query, path, header); the client only needs its name.
    path = [str(part) for part in entry["loc"] if part not in {"body", "query", "path", "header"}]
    message = str(entry["msg"]).removeprefix("Value error, ")
    # The name of an unknown field is the client's own, and of any length.
    return {"code": "invalid", "message": message, "field": ".".join(path)[:FIELD_LENGTH_MAX] or "body"}


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return render_http(error)


def render_http(error: HTTPException) -> Response:
    """Return the response to an HTTPException of the framework or of `request_limits`."""
    code, message = HTTP_CODES.get(error.status_code, ("malformed", "This request can't be served."))
    response = error_response(error.status_code, message, [{"code": code, "message": message}])
    response.headers.update(error.headers or {})
    if "GET" in (allowed := response.headers.get("Allow", "")) and "HEAD" not in allowed:
        response.headers["Allow"] = f"{allowed}, HEAD"  # the router does not know that HEAD is answered as GET
    return response


async def _on_lost_database(request: Request, error: Exception) -> Response:
    _log.warning("database_unavailable", error=type(error).__name__)
    return render(Unavailable())


async def _on_bug(request: Request, error: Exception) -> Response:
    # The exception's text goes to the log only: it may contain SQL, values or paths.
    _log.error("unhandled_error", exc_info=error, path=request.url.path)
    response = error_response(
        500,
        "Something went wrong on our side. Nothing was changed.",
        [{"code": "internal", "message": "Something went wrong on our side."}],
    )
    # Starlette calls this handler outside our middleware, which sets these headers on every other response.
    response.headers["X-Correlation-ID"] = log.correlation_id.get()
    headers = security_headers.defaults(app_state.of(request.app).get(Settings))
    response.raw_headers = security_headers.complete(response.raw_headers, headers)
    return response
