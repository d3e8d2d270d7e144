"""The shape of every JSON response: success, message, data or errors, meta."""

from typing import Any, Generic, TypeVar

import orjson
from pydantic import BaseModel
from starlette.responses import Response

from ticketing.infra import log

T = TypeVar("T")


class Envelope(BaseModel, Generic[T]):
    """A successful response; used as the response model, so that the OpenAPI document describes `data`."""

    success: bool = True
    message: str = "OK"
    data: T
    meta: dict[str, Any] | None = None


class ErrorEntry(BaseModel):
    """One error; `field` names the input that caused it."""

    code: str
    message: str
    field: str | None = None


class ErrorEnvelope(BaseModel):
    """An error response."""

    success: bool = False
    message: str
    errors: list[ErrorEntry]
    meta: dict[str, Any]


def envelope(data: T, message: str = "OK", **meta: Any) -> Envelope[T]:
    """Wrap the data that a route returns."""
    return Envelope(message=message, data=data, meta=meta or None)


def as_json(body: Envelope[Any]) -> bytes:
    """The JSON of a response that a route builds itself, to store it in a batch."""
    return body.model_dump_json().encode()


def error_response(status: int, message: str, errors: list[dict[str, Any]]) -> Response:
    """Build an error response with the correlation id of the current request."""
    body = error_body(message, errors, log.correlation_id.get())
    return Response(body, status, media_type="application/json")


def error_body(message: str, errors: list[dict[str, Any]], correlation_id: str) -> bytes:
    """Build the JSON body of an error response."""
    meta = {"correlation_id": correlation_id}
    return orjson.dumps({"success": False, "message": message, "errors": errors, "meta": meta}, default=str)
