"""What people do about their own log-ins: see them, end them, and change the password that opens them."""

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
    """Where one is logged in, the log-in that was used last first; at most twenty."""
    rows = await sessions.list_sessions(session, identity.user_id)
    return envelope([SessionOut.of(row, identity.session_id) for row in rows])


@router.delete("/me/sessions")
async def end_all_sessions(
    identity: CurrentUser,
    session: Db,
    keep_current: Annotated[bool, Query(description="Stay logged in here")] = False,
) -> Envelope[None]:
    """Log out everywhere, here as well unless asked otherwise."""
    kept = identity.session_id if keep_current else None
    reason = EndReason.LOG_OUT_EVERYWHERE
    await sessions.end_sessions(session, identity.user_id, except_session=kept, reason=reason)
    return envelope(None, "Logged out.")


@router.delete("/me/sessions/{session_id}")
async def end_session(session_id: UUID, identity: CurrentUser, session: Db) -> Envelope[None]:
    """End one log-in of one's own."""
    await sessions.end_session(session, identity.user_id, session_id)
    return envelope(None, "Logged out there.")


# Hashing twice takes a fifth of a second, so it comes before the idempotency claim and holds no connection. What it
# found is judged after the claim: a retry is to read the first answer, though the current password is another now.
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
    """Take another password. Every other log-in ends."""
    await service.change_password(session, identity, change)
    return envelope(None, "Your password is changed. You are logged out everywhere else.")
