"""A retried POST has no second effect: the first answer is stored in the transaction that made it, and given again.

A claim is an advisory lock of the transaction, so it is gone with a crashed process; nothing is ever left "in flight".
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Request
from fastapi.routing import APIRoute
from sqlalchemy import LargeBinary, SmallInteger, Text, delete, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from starlette.responses import Response

from ticketing.infra import log, security
from ticketing.infra.db import Base, Database, Db, statements
from ticketing.infra.db.pipeline import send
from ticketing.infra.errors import BadRequest, Conflict, Invalid, TicketingError

KEY_LENGTH_MAX = 255

#: The number of a key's advisory lock. Two keys that share one would be in flight together, and that is all.
LOCK_OF_KEY = "hashtextextended(caller || chr(10) || key, 0)"
_LOCK = f"""
select pg_try_advisory_xact_lock({LOCK_OF_KEY}) from (values (%s::text, %s::text)) as w (caller, key)"""  # noqa: S608
_LOOK = "select fingerprint, status, body from idempotency_keys where caller = %s and key = %s"
_REMEMBER = "insert into idempotency_keys (caller, key, fingerprint, status, body) values (%s, %s, %s, %s, %s)"

#: A digest by each key of ours, the newest first: an answer may have been stored just before the keys were rotated.
Fingerprint = list[bytes]

_log = log.get_logger(__name__)

#: Answers that say nothing about the request itself: the same request may fare better a moment later.
_FORGOTTEN_CODES = {"seat_contended", "invalid", "idempotency_mismatch", "idempotency_in_flight"}
_FORGOTTEN_STATUSES = {400, 401, 413, 415, 429}


class IdempotencyKeyMissing(BadRequest):
    """Send an Idempotency-Key header: without one, a retry could do this twice."""

    code = "idempotency_key_missing"


class IdempotencyInFlight(Conflict):
    """The first request with this Idempotency-Key is still running; ask again in a moment."""

    code, retry_after_seconds = "idempotency_in_flight", 1


class IdempotencyMismatch(TicketingError):
    """This Idempotency-Key was used for another request; use a new key for a new request."""

    status, code = 422, "idempotency_mismatch"


class StoredAnswer(Base):
    """The first answer to a caller's key."""

    __tablename__ = "idempotency_keys"

    caller: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int] = mapped_column(SmallInteger)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class Replay(Exception):
    """The answer is known already."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.body = status, body


@dataclass(frozen=True, slots=True)
class Claim:
    """This request is the first with its key, and leaves its answer under it."""

    caller: str
    key: str
    fingerprint: Fingerprint
    is_sealed: bool = False

    async def remember(self, session: AsyncSession, response: Response) -> None:
        """Store the answer in the transaction that made it."""
        if response.status_code in _FORGOTTEN_STATUSES:
            return
        async with statements.round_trip(session) as wire:
            await send(wire, _REMEMBER, *self._values(response).values())

    async def remember_failure(self, database: Database, response: Response, error: TicketingError) -> None:
        """Store a refusal; its own transaction was rolled back, so this is one of its own."""
        if not is_remembered(error):
            return
        try:
            async with database.transaction() as session:
                await session.execute(insert(StoredAnswer).values(self._values(response)).on_conflict_do_nothing())
        except SQLAlchemyError as lost:
            # Nothing was changed, so a retry may run afresh; it must not cost the client the reason.
            _log.warning("refusal_not_remembered", error=type(lost).__name__)

    def _values(self, response: Response) -> dict[str, Any]:
        body = bytes(response.body)
        return {
            "caller": self.caller,
            "key": self.key,
            "fingerprint": self.fingerprint[0],
            "status": response.status_code,
            "body": security.seal(body) if self.is_sealed else body,
        }


def is_remembered(error: TicketingError) -> bool:
    """Whether a retry is to be refused with the same words, rather than tried afresh."""
    return error.code not in _FORGOTTEN_CODES and error.status not in _FORGOTTEN_STATUSES and error.status < 500


async def claim(
    request: Request,
    session: Db,
    idempotency_key: Annotated[str | None, Header(description="1 to 255 printable characters")] = None,
) -> None:
    """Claim the key of a POST, when it has one; raises what `open_claim` raises."""
    if idempotency_key is None:
        return
    caller, fingerprint = security.identify(request), await fingerprint_of(request)
    is_sealed = getattr(request.scope.get("route"), "is_sealed", False)
    request.state.claim = await open_claim(session, caller, idempotency_key, fingerprint, is_sealed)
    request.state.session = session


async def fingerprint_of(request: Request) -> Fingerprint:
    """What makes two requests the same: address and body."""
    return security.keyed_digests(f"{request.url.path}?{request.url.query}\n".encode() + await request.body())


async def open_claim(
    session: AsyncSession, caller: str, key: str, fingerprint: Fingerprint, is_sealed: bool = False
) -> Claim:
    """Look the key up under a lock of this transaction.

    Raises:
        Replay: the request was answered before.
        IdempotencyMismatch, IdempotencyInFlight, Invalid: see the classes.
    """
    check_key(key)
    async with statements.round_trip(session) as wire:
        lock = await send(wire, _LOCK, caller, key)
        # A statement after the lock's: its snapshot must be younger than the commit of whoever held the lock.
        answer = await send(wire, _LOOK, caller, key)
    if await lock.fetchone() != (True,):
        raise IdempotencyInFlight
    if (stored := await answer.fetchone()) is None:
        return Claim(caller, key, fingerprint, is_sealed)
    used_for, status, body = stored
    if used_for not in fingerprint:
        raise IdempotencyMismatch
    raise Replay(status, security.unseal(body) if is_sealed else body)


def check_key(key: str) -> None:
    """Raises Invalid when this is no key that we take."""
    if not 1 <= len(key) <= KEY_LENGTH_MAX or not key.isprintable():
        raise Invalid("Send 1 to 255 printable characters.", field="Idempotency-Key")


async def forget(session: AsyncSession, caller: str) -> None:
    """Forget every answer to this caller, who is named as `security.identify` does it."""
    await session.execute(delete(StoredAnswer).where(StoredAnswer.caller == caller))


async def require_key(
    idempotency_key: Annotated[str | None, Header(description="1 to 255 printable characters; required")] = None,
) -> str:
    """The header, on routes that can't do without it.

    Raises:
        IdempotencyKeyMissing: the header is absent or empty.
    """
    if not idempotency_key:
        raise IdempotencyKeyMissing(field="Idempotency-Key")
    return idempotency_key


IdempotencyKey = Annotated[str, Depends(require_key)]


class Route(APIRoute):
    """A route whose POST honours Idempotency-Key. Every module's router is made of these."""

    is_sealed = False

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        given = list(options.get("dependencies") or [])
        if "POST" in (options.get("methods") or ()) and not any(d.dependency is claim for d in given):
            options["dependencies"] = [Depends(claim), *given]
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_once(request: Request) -> Response:
            # The function-scoped transaction is still open here, and commits when this returns.
            response = await handle(request)
            if (mine := getattr(request.state, "claim", None)) is not None:
                await mine.remember(request.state.session, response)
            return response

        return handle_once


class SealedRoute(Route):
    """A route whose answers hold a secret (tokens, keys): they are stored encrypted."""

    is_sealed = True


def install(app: FastAPI) -> None:
    """Let the app answer replays."""
    app.add_exception_handler(Replay, _on_replay)


async def _on_replay(request: Request, answer: Exception) -> Response:
    assert isinstance(answer, Replay)
    headers = {"Idempotency-Replayed": "true"}
    return Response(answer.body, answer.status, headers, media_type="application/json")
