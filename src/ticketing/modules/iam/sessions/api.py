"""Routes for one's own sessions, and for changing the password."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from ticketing.infra import app_state
from ticketing.infra.db import Database, Db
from ticketing.infra.http import idempotency
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.modules.iam import service
from ticketing.modules.iam.access import CurrentUser
from ticketing.modules.iam.models import EndReason
from ticketing.modules.iam.schemas import ChangePassword, SessionOut
from ticketing.modules.iam.sessions import service as sessions

router = APIRouter(tags=["iam"], route_class=idempotency.Route)


@router.get("/me/sessions")
async def list_sessions(identity: CurrentUser, session: Db) -> Envelope[list[SessionOut]]:
    """List the caller's open sessions, most recently used first; at most twenty."""
    rows = await sessions.list_sessions(session, identity.user_id)
    return envelope([SessionOut.of(row, identity.session_id) for row in rows])


@router.delete("/me/sessions")
async def end_all_sessions(
    identity: CurrentUser,
    session: Db,
    keep_current: Annotated[bool, Query(description="Stay logged in here")] = False,
) -> Envelope[None]:
    """End every session, including this one unless `keep_current` is set."""
    kept = identity.session_id if keep_current else None
    reason = EndReason.LOG_OUT_EVERYWHERE
    await sessions.end_sessions(session, identity.user_id, except_session=kept, reason=reason)
    return envelope(None, "Logged out.")


@router.delete("/me/sessions/{session_id}")
async def end_session(session_id: UUID, identity: CurrentUser, session: Db) -> Envelope[None]:
    """End one session of the caller."""
    await sessions.end_session(session, identity.user_id, session_id)
    return envelope(None, "Logged out there.")


# Hashing twice takes 0.2 s, so it runs before the idempotency claim and holds no connection. Its result is evaluated
# after the claim: a retry gets the stored response, although the current password has changed by then.
async def check_change(request: Request, body: ChangePassword, identity: CurrentUser) -> service.PasswordChange:
    return await service.check_change(
        app_state.of(request.app).get(Database), identity.user_id, body.current_password, body.new_password
    )


@router.post("/me/password", dependencies=[Depends(check_change), Depends(idempotency.claim)])
async def change_password(
    body: ChangePassword,
    change: Annotated[service.PasswordChange, Depends(check_change)],
    identity: CurrentUser,
    session: Db,
) -> Envelope[None]:
    """Change the password. Every other session ends."""
    await service.change_password(session, identity, change)
    return envelope(None, "Your password is changed. You are logged out everywhere else.")
