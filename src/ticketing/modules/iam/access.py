"""Whose request this is, by its access token alone: no database is asked, so a hold costs nothing extra."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from ticketing.infra import log, security
from ticketing.infra.errors import Unauthenticated
from ticketing.infra.security import access_tokens

# Only for the OpenAPI document; the header is read by `security.authorization`, with our own errors.
bearer = HTTPBearer(auto_error=False, scheme_name="Bearer", description="The access token of a log-in")


@dataclass(frozen=True, slots=True)
class Identity:
    """A person with a valid access token; `session_id` is the log-in that it came from."""

    user_id: UUID
    session_id: UUID

    @property
    def actor(self) -> str:
        return f"user:{self.user_id}"


# Both are coroutines although nothing is awaited: a plain function runs in a thread with a context of its own, and
# the actor set there would be lost.
async def current_user(request: Request, _: Annotated[object, Security(bearer)]) -> Identity:
    """The person who calls.

    Raises:
        Unauthenticated, TokenExpired: there is no valid access token.
        SessionEnded: its log-in was ended.
    """
    scheme, credentials = security.authorization(request)
    if scheme != "bearer":
        raise Unauthenticated
    claims = access_tokens.check_token(credentials)
    identity = Identity(claims.user_id, claims.session_id)
    log.actor.set(identity.actor)
    return identity


async def optional_user(request: Request, token: Annotated[object, Security(bearer)]) -> Identity | None:
    """The person who calls, or None. A bad token is refused all the same: its owner believes to be logged in.

    An API key or a device names no person, so its bearer sees what everybody sees.
    """
    scheme, _ = security.authorization(request)
    return None if scheme in {"", "apikey", "device"} else await current_user(request, token)


CurrentUser = Annotated[Identity, Depends(current_user)]
OptionalUser = Annotated[Identity | None, Depends(optional_user)]
