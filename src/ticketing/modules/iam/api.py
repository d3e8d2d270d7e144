"""Registration, login, token refresh and logout."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from ticketing.infra import app_state, security
from ticketing.infra.db import Database, Db
from ticketing.infra.http import error_handlers, idempotency
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.modules.iam import service
from ticketing.modules.iam.clients import RequestClient
from ticketing.modules.iam.passwords import refuse_own_address
from ticketing.modules.iam.schemas import LogIn, LogInOut, Refresh, Register
from ticketing.modules.iam.second_factor import service as second_factor

router = APIRouter(tags=["iam"], route_class=idempotency.Route)
# Without idempotency keys: a refresh token has a rule of its own for a lost response, which ends after ten seconds.
unkeyed = APIRouter(tags=["iam"])


# argon2 takes 0.1 s and requests may queue for it. These two run before the idempotency claim, the request's first
# statement, so that no request occupies one of few database connections while it waits for a hash.
async def hash_password(body: Register) -> str:
    refuse_own_address(body.password, body.email)
    return await security.hash_password(body.password)


async def check_password(request: Request, body: LogIn) -> service.VerifiedPassword:
    database = app_state.of(request.app).get(Database)
    verified = await service.check_password(database, body.email, body.password)
    await second_factor.count_attempt(database, verified.user.id, body.code)
    return verified


@router.post("/auth/register", status_code=201, dependencies=[Depends(hash_password), Depends(idempotency.claim)])
async def register(
    body: Register, password_hash: Annotated[str, Depends(hash_password)], client: RequestClient, session: Db
) -> Envelope[LogInOut]:
    """Create an account and log in."""
    tokens = await service.register(session, client, body.email, password_hash, body.display_name)
    return envelope(tokens, "Welcome.")


@router.post("/auth/login", dependencies=[Depends(check_password), Depends(idempotency.claim)])
async def log_in(
    body: LogIn,
    verified: Annotated[service.VerifiedPassword, Depends(check_password)],
    client: RequestClient,
    session: Db,
) -> Envelope[LogInOut]:
    """Get an access token and a refresh token."""
    return envelope(await service.log_in(session, client, verified, body.code), "Welcome back.")


@unkeyed.post("/auth/refresh", response_model=Envelope[LogInOut])
async def refresh(body: Refresh, client: RequestClient, session: Db) -> Envelope[LogInOut] | Response:
    """Exchange a refresh token for the next pair of tokens.

    For ten seconds the same client gets the same pair again, in case the response was lost. Later, or from another
    client, reuse ends the session.
    """
    tokens = await service.refresh(session, client, body.refresh_token)
    # Rendered, not raised: an exception would roll the revocation back.
    return error_handlers.render(service.RefreshTokenInvalid()) if tokens is None else envelope(tokens)


@router.post("/auth/logout")
async def log_out(body: Refresh, session: Db) -> Envelope[None]:
    """End this session and its access tokens: in this process at once, in all others within two seconds."""
    await service.log_out(session, body.refresh_token)
    return envelope(None, "Logged out.")
