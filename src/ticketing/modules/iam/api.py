"""Registering, logging in and out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from ticketing.infra import errors, idempotency, security
from ticketing.infra.db import Db
from ticketing.infra.envelope import Envelope, envelope
from ticketing.modules.iam import service
from ticketing.modules.iam.models import User
from ticketing.modules.iam.schemas import LogIn, LogInOut, Refresh, Register

router = APIRouter(tags=["iam"], route_class=idempotency.SealedRoute)


# argon2 takes a tenth of a second and there may be a queue before it. These two run before the idempotency claim,
# which is the request's first statement: nobody keeps one of few database connections while waiting for a hash.
async def hash_password(body: Register) -> str:
    return await security.hash_password(body.password)


async def check_password(request: Request, body: LogIn) -> User:
    return await service.check_password(request.app.state.database, body.email, body.password)


@router.post("/auth/register", status_code=201, dependencies=[Depends(hash_password), Depends(idempotency.claim)])
async def register(
    body: Register, password_hash: Annotated[str, Depends(hash_password)], session: Db
) -> Envelope[LogInOut]:
    """Open an account, and be logged in."""
    answer = await service.register(session, body.email, password_hash, body.display_name)
    return envelope(answer, "Welcome.")


@router.post("/auth/login", dependencies=[Depends(check_password), Depends(idempotency.claim)])
async def log_in(body: LogIn, user: Annotated[User, Depends(check_password)], session: Db) -> Envelope[LogInOut]:
    """Get an access token and a refresh token."""
    return envelope(await service.open_log_in(session, user), "Welcome back.")


@router.post("/auth/refresh", response_model=Envelope[LogInOut])
async def refresh(body: Refresh, session: Db) -> Envelope[LogInOut] | Response:
    """Spend a refresh token on the next pair. One that comes back a second time ends the whole log-in."""
    answer = await service.refresh(session, body.refresh_token)
    # Rendered, not raised: the revocation has to be committed.
    return errors.render(service.RefreshTokenInvalid()) if answer is None else envelope(answer)


@router.post("/auth/logout")
async def log_out(body: Refresh, session: Db) -> Envelope[None]:
    """End this log-in. Its access token still runs for the few minutes that it has left."""
    await service.log_out(session, body.refresh_token)
    return envelope(None, "Logged out.")
