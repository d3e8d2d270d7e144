"""Routes for one's own sessions."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from ticketing.infra.db import Db
from ticketing.infra.http import idempotency
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.modules.iam.access import CurrentUser
from ticketing.modules.iam.models import EndReason
from ticketing.modules.iam.schemas import SessionOut
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
