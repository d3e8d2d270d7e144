"""The identity of a request, from its access token alone: no database access, so it adds nothing to a hold."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from ticketing.infra import log, security
from ticketing.infra.errors import Unauthenticated
from ticketing.infra.security import access_tokens

# Only for the OpenAPI document; `security.authorization` reads the header and raises the platform's errors.
bearer = HTTPBearer(auto_error=False, scheme_name="Bearer", description="The access token of a log-in")


@dataclass(frozen=True, slots=True)
class Identity:
    """A user with a valid access token; `session_id` is the session that it belongs to."""

    user_id: UUID
    session_id: UUID

    @property
    def actor(self) -> str:
        return f"user:{self.user_id}"


# Coroutines although nothing is awaited: FastAPI runs a plain function in a thread with a copied context, and the
# actor set there would be lost.
async def current_user(request: Request, _: Annotated[object, Security(bearer)]) -> Identity:
    """Return the calling user.

    Raises:
        Unauthenticated, TokenExpired: there is no valid access token.
        SessionRevoked: its session was ended.
    """
    scheme, credentials = security.authorization(request)
    if scheme != "bearer":
        raise Unauthenticated
    claims = access_tokens.check_token(credentials)
    identity = Identity(claims.user_id, claims.session_id)
    log.actor.set(identity.actor)
    return identity


async def optional_user(request: Request, token: Annotated[object, Security(bearer)]) -> Identity | None:
    """Return the calling user or None. An invalid token is still refused: its owner believes to be logged in.

    API keys and devices do not identify a user, so their requests count as anonymous.
    """
    scheme, _ = security.authorization(request)
    return None if scheme in {"", "apikey", "device"} else await current_user(request, token)


CurrentUser = Annotated[Identity, Depends(current_user)]
OptionalUser = Annotated[Identity | None, Depends(optional_user)]
