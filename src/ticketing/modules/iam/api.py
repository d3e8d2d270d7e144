"""Registering, logging in and out."""

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

router = APIRouter(tags=["iam"], route_class=idempotency.SealedRoute)


# argon2 takes a tenth of a second and there may be a queue before it. These two run before the idempotency claim,
# which is the request's first statement: nobody keeps one of few database connections while waiting for a hash.
async def hash_password(body: Register) -> str:
    refuse_own_address(body.password, body.email)
    return await security.hash_password(body.password)


async def check_password(request: Request, body: LogIn) -> service.Checked:
    database = app_state.of(request.app).get(Database)
    checked = await service.check_password(database, body.email, body.password)
    await second_factor.count_try(database, checked.user.id, body.code)
    return checked


@router.post("/auth/register", status_code=201, dependencies=[Depends(hash_password), Depends(idempotency.claim)])
async def register(
    body: Register, password_hash: Annotated[str, Depends(hash_password)], client: RequestClient, session: Db
) -> Envelope[LogInOut]:
    """Open an account, and be logged in."""
    answer = await service.register(session, client, body.email, password_hash, body.display_name)
    return envelope(answer, "Welcome.")


@router.post("/auth/login", dependencies=[Depends(check_password), Depends(idempotency.claim)])
async def log_in(
    body: LogIn, checked: Annotated[service.Checked, Depends(check_password)], client: RequestClient, session: Db
) -> Envelope[LogInOut]:
    """Get an access token and a refresh token."""
    return envelope(await service.log_in(session, client, checked, body.code), "Welcome back.")


@router.post("/auth/refresh", response_model=Envelope[LogInOut])
async def refresh(body: Refresh, client: RequestClient, session: Db) -> Envelope[LogInOut] | Response:
    """Spend a refresh token on the next pair.

    The client that spent it gets the same pair again for ten seconds, in case the answer was lost. Later, or from
    elsewhere, its return ends the whole log-in.
    """
    answer = await service.refresh(session, client, body.refresh_token)
    # Rendered, not raised: the revocation has to be committed.
    return error_handlers.render(service.RefreshTokenInvalid()) if answer is None else envelope(answer)


@router.post("/auth/logout")
async def log_out(body: Refresh, session: Db) -> Envelope[None]:
    """End this log-in, and with it its access tokens: here at once, in every other process within two seconds."""
    await service.log_out(session, body.refresh_token)
    return envelope(None, "Logged out.")
