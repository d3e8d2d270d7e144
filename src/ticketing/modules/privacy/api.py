"""Routes of the caller's own data."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse

from ticketing.infra import app_state
from ticketing.infra.db import Database, Db
from ticketing.infra.http import idempotency
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.modules import iam
from ticketing.modules.privacy import erasure
from ticketing.modules.privacy.export import read_spool, write_export
from ticketing.modules.privacy.schemas import EraseMe

router = APIRouter(tags=["privacy"], route_class=idempotency.Route)


# Before the idempotency claim, as at login, so that no database connection is held while waiting for argon2.
async def confirm_person(request: Request, body: EraseMe, person: iam.CurrentUser) -> None:
    await iam.personal_data.confirm_person(
        app_state.of(request.app).get(Database), person.user_id, body.password, body.code
    )


@router.get(
    "/me/export",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def export_me(person: iam.CurrentUser, request: Request) -> StreamingResponse:
    """Download all personal data of the caller."""
    spool = await write_export(app_state.of(request.app).get(Database), person.user_id)
    headers = {"Content-Disposition": 'attachment; filename="my-data.json"', "Content-Length": str(spool.tell())}
    return StreamingResponse(read_spool(spool), media_type="application/json", headers=headers)


@router.post("/me/erase", dependencies=[Depends(confirm_person), Depends(idempotency.claim)])
async def erase_me(body: EraseMe, person: iam.CurrentUser, session: Db) -> Envelope[None]:
    """Erase the caller's account permanently. Orders are kept for accounting, and tickets stay valid, without a name.

    A retry gets 401, because its account no longer exists.
    """
    await erasure.erase(session, person, code=body.code, give_up_tickets=body.give_up_tickets)
    return envelope(None, "You are forgotten.")
