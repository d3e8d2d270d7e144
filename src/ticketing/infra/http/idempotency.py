"""Idempotency keys: the response of a POST is stored in the transaction that produced it and replayed to retries.

A claim is a transaction-level advisory lock, so a crashed process releases it: no key stays "in flight". A stored
response is sent after the route's dependencies, which authorize the caller, and before the route itself.
"""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime
from functools import wraps
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI, Header, Request
from sqlalchemy import LargeBinary, SmallInteger, Text, delete, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from starlette.responses import Response

from ticketing.infra import app_state, crash_points, log, security
from ticketing.infra.db import Base, Database, Db, statements
from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import DriverConnection, send
from ticketing.infra.errors import BadRequest, Conflict, Invalid, TicketingError
from ticketing.infra.http.routing import PreparedRoute

KEY_LENGTH_MAX = 255

#: The number of a key's advisory lock. On a hash collision, one of two concurrent requests is refused as in flight.
LOCK_OF_KEY = "hashtextextended(caller || chr(10) || key, 0)"
_LOCK = f"""
select pg_try_advisory_xact_lock({LOCK_OF_KEY}) from (values (%s::text, %s::text)) as w (caller, key)"""  # noqa: S608
_LOOK = "select fingerprint, status, body from idempotency_keys where caller = %s and key = %s"
_STORE = "insert into idempotency_keys (caller, key, fingerprint, status, body) values (%s, %s, %s, %s, %s)"

#: One digest per secret key, newest first: a response may have been stored before the keys were rotated.
Fingerprint = list[bytes]

_log = log.get_logger(__name__)

#: Errors that are not stored: the request was not carried out. Nor are those with a time after which to retry.
_NOT_STORED_CODES = {"invalid", "idempotency_mismatch"}
_NOT_STORED_STATUSES = {400, 401, 413, 415, 429}


class IdempotencyKeyMissing(BadRequest):
    """Send an Idempotency-Key header: without one, a retry could do this twice."""

    code = "idempotency_key_missing"


class IdempotencyInFlight(Conflict):
    """The first request with this Idempotency-Key is still running; retry in a moment."""

    code, retry_after_seconds = "idempotency_in_flight", 1


class IdempotencyMismatch(TicketingError):
    """This Idempotency-Key was used for another request; use a new key for a new request."""

    status, code = 422, "idempotency_mismatch"


class StoredResponse(Base):
    """The first response to a caller's key."""

    __tablename__ = "idempotency_keys"

    caller: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int] = mapped_column(SmallInteger)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class Replay(Exception):
    """Raised when the response to this key is already stored."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.body = status, body

    def response(self) -> Response:
        """The stored response, marked as a replay."""
        headers = {"Idempotency-Replayed": "true"}
        return Response(self.body, self.status, headers, media_type="application/json")


#: The stored response to the present request, until its caller has been authorized.
_replay: ContextVar[Replay | None] = ContextVar("replay", default=None)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right of the first request with a key to store its response."""

    caller: str
    key: str
    fingerprint: Fingerprint

    def of_step(self, name: str) -> "Claim":
        """The claim of one step of a request that commits in several; no client can send its key."""
        return replace(self, key=f"{self.key}\n{name}")

    async def store(self, session: AsyncSession, response: Response) -> None:
        """Store the response in the transaction that produced it, in the round trip of its commit."""
        if response.status_code not in _NOT_STORED_STATUSES:
            await statements.defer(session, _STORE, *self._values(response).values())

    async def store_error(
        self,
        database: Database,
        response: Response,
        error: TicketingError,
        render: Callable[[TicketingError], Response],
    ) -> Response:
        """Store an error response in a new transaction, since the request's own was rolled back; the response to send.

        If a request with the same key has run since the rollback, or is running, its response is the one to send.
        """
        if not is_stored(error):
            return response
        try:
            async with database.transaction() as session:
                async with statements.round_trip(session) as connection:
                    pending = await query_claim(connection, self)
                await pending.fetch()
                await session.execute(insert(StoredResponse).values(self._values(response)))
        except Replay as replay:
            return replay.response()
        except IdempotencyInFlight as twin:
            return render(twin)
        except (SQLAlchemyError, IdempotencyMismatch) as lost:
            # The request changed nothing, so a retry may run again. The client still receives the original error.
            _log.warning("refusal_not_remembered", error=type(lost).__name__)
        return response

    def _values(self, response: Response) -> dict[str, Any]:
        return {
            "caller": self.caller,
            "key": self.key,
            "fingerprint": self.fingerprint[0],
            "status": response.status_code,
            "body": seal_body(bytes(response.body), self.caller, self.key),
        }


def is_stored(error: TicketingError) -> bool:
    """Whether a retry gets this same error response instead of being executed again."""
    if error.retry_after_seconds is not None:  # the same request may succeed then
        return False
    return error.code not in _NOT_STORED_CODES and error.status not in _NOT_STORED_STATUSES and error.status < 500


async def claim(
    request: Request,
    session: Db,
    idempotency_key: Annotated[str | None, Header(description="1 to 255 printable characters")] = None,
) -> None:
    """Claim the key of a POST that has one. Raises what `claim_of` and `query_claim` raise; for Replay see `Route`."""
    _replay.set(None)
    if idempotency_key is None:
        return
    wanted = await claim_of(request, idempotency_key)
    async with statements.round_trip(session) as connection:
        pending = await query_claim(connection, wanted)
    try:
        hold_claim(request, await pending.fetch())
    except Replay as replay:
        _replay.set(replay)
    request.state.session = session


def hold_claim(request: Request, claim: Claim) -> None:
    """Let the request store its response, or its error, under this claim."""
    request.state.claim = claim


def find_claim(request: Request) -> Claim | None:
    """Return the claim that this request holds, if it sent a key."""
    claim: Claim | None = getattr(request.state, "claim", None)
    return claim


async def fingerprint_of(request: Request) -> Fingerprint:
    """Return the digests of URL and body by which two requests are compared."""
    return security.keyed_digests(f"{request.url.path}?{request.url.query}\n".encode() + await request.body())


async def claim_of(request: Request, key: str) -> Claim:
    """Return the claim that a request would have on this key. Raises Invalid when the key is malformed."""
    check_key(key)
    return Claim(security.identify(request), key, await fingerprint_of(request))


def seal_body(body: bytes, caller: str, key: str) -> bytes:
    """Encrypt a response for its row: responses hold names, addresses and secrets of their callers."""
    return security.seal(body, _place(caller, key))


def unseal_body(sealed: bytes, caller: str, key: str) -> bytes:
    """The stored response. Raises SealUnknown for a response to another caller or another key."""
    try:
        return security.unseal(sealed, _place(caller, key))
    except security.SealUnknown:
        if sealed.startswith(b'{"success":'):  # stored in the clear, within RETENTION before responses were sealed
            return sealed
        raise


def _place(caller: str, key: str) -> bytes:
    return f"{caller}\n{key}".encode()


async def query_claim(connection: DriverConnection, claim: Claim) -> PendingQuery[Claim]:
    """Lock the key for this transaction and look it up, in the caller's round trip.

    A request that calls another server does this twice: in the transaction before the call, so that a repeated request
    gets the stored response and changes nothing, and in the transaction that stores the response.

    Raises, when it is fetched:
        Replay: the response is already stored.
        IdempotencyMismatch, IdempotencyInFlight: see the classes.
    """
    lock = await send(connection, _LOCK, claim.caller, claim.key)
    # A separate statement: its snapshot must be newer than the commit of the lock's previous holder.
    found = await send(connection, _LOOK, claim.caller, claim.key)

    def parse(locked: Sequence[Any], stored: Sequence[Any]) -> Claim:
        if locked[0] != (True,):
            raise IdempotencyInFlight
        if not stored:
            return claim
        used_for, status, body = stored[0]
        if used_for not in claim.fingerprint:
            raise IdempotencyMismatch
        raise Replay(status, unseal_body(body, claim.caller, claim.key))

    return PendingQuery(parse, lock, found)


async def respond_once(
    request: Request, claim: Claim, user_id: UUID, work: Callable[[AsyncSession], Awaitable[Response]]
) -> Response:
    """Do what a batch does not decide (see `group_commit.Unusual`): claim the key, work, and store the response.

    Raises what `query_claim` and `work` raise. An error is stored for the key by the error handlers.
    """
    hold_claim(request, claim)
    async with app_state.of(request.app).get(Database).transaction(user_id) as session:
        async with statements.round_trip(session) as connection:
            pending = await query_claim(connection, claim)
        await pending.fetch()
        response = await work(session)
        await claim.store(session, response)
    if "changed_topics" in session.info:
        crash_points.at("after_commit_before_ack")
    return response


def check_key(key: str) -> None:
    """Raises Invalid when the key is empty, too long or not printable."""
    if not 1 <= len(key) <= KEY_LENGTH_MAX or not key.isprintable():
        raise Invalid("Send 1 to 255 printable characters.", field="Idempotency-Key")


async def forget(session: AsyncSession, caller: str) -> None:
    """Delete every stored response of this caller, named as by `security.identify`."""
    await session.execute(delete(StoredResponse).where(StoredResponse.caller == caller))


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


class Route(PreparedRoute):
    """A route whose POST honours Idempotency-Key: the route class of every module's router."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        given = list(options.get("dependencies") or [])
        if "POST" in (options.get("methods") or ()):
            if not any(d.dependency is claim for d in given):
                options["dependencies"] = [Depends(claim), *given]
            endpoint = _replaying(endpoint)
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_once(request: Request) -> Response:
            # The function-scoped transaction is still open here; it commits after this function returns.
            response = await handle(request)
            if (claim := find_claim(request)) is not None:
                await claim.store(request.state.session, response)
            return response

        return handle_once


def _replaying(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap an endpoint so that it is called only if there is no stored response.

    By then all dependencies have been resolved: a key that was revoked, or a member who was removed, has been refused.
    """

    @wraps(endpoint)
    async def replay_or_call(*arguments: Any, **options: Any) -> Any:
        if (replay := _replay.get()) is not None:
            raise replay
        return await endpoint(*arguments, **options)

    return replay_or_call


def install(app: FastAPI) -> None:
    """Register the handler that sends stored responses."""
    app.add_exception_handler(Replay, _on_replay)


async def _on_replay(request: Request, replay: Exception) -> Response:
    assert isinstance(replay, Replay)
    return replay.response()
