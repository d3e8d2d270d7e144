"""Routes that enable and disable the second factor."""

from fastapi import APIRouter, Depends, Request

from ticketing.infra import app_state
from ticketing.infra.db import Database, Db
from ticketing.infra.http import idempotency
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.modules.iam.access import CurrentUser
from ticketing.modules.iam.passwords import confirm_password
from ticketing.modules.iam.queries import get_user
from ticketing.modules.iam.second_factor import codes
from ticketing.modules.iam.second_factor import service as second_factor
from ticketing.modules.iam.second_factor.schemas import (
    BeginSecondFactor,
    ConfirmSecondFactor,
    DisableSecondFactor,
    PendingSecondFactorOut,
    RecoveryCodesOut,
)

router = APIRouter(tags=["iam"], route_class=idempotency.Route)


# Both require the password, so that a browser left open cannot lock its owner out or disable the factor. As at login,
# this runs before the idempotency claim, so that no database connection is held while waiting for a hash.
async def check_password(request: Request, body: BeginSecondFactor, identity: CurrentUser) -> None:
    await confirm_password(app_state.of(request.app).get(Database), identity.user_id, body.password)


async def check_password_and_attempts(request: Request, body: DisableSecondFactor, identity: CurrentUser) -> None:
    database = app_state.of(request.app).get(Database)
    await confirm_password(database, identity.user_id, body.password)
    await second_factor.count_attempt(database, identity.user_id, body.code)


@router.post("/me/second-factor", status_code=201, dependencies=[Depends(check_password), Depends(idempotency.claim)])
async def begin_second_factor(
    body: BeginSecondFactor, identity: CurrentUser, session: Db
) -> Envelope[PendingSecondFactorOut]:
    """Get a secret for an authenticator app. It has no effect until a first code confirms it."""
    user = await get_user(session, identity.user_id)
    secret = await second_factor.begin(session, user.id)
    uri = codes.otpauth_uri(secret, user.email)
    text, picture = codes.as_text(secret), codes.qr_svg(uri)
    return envelope(PendingSecondFactorOut(secret=text, otpauth_uri=uri, qr_svg=picture))


@router.post("/me/second-factor/confirm")
async def confirm_second_factor(
    body: ConfirmSecondFactor, identity: CurrentUser, session: Db
) -> Envelope[RecoveryCodesOut]:
    """Enable it with a first code of the app; the recovery codes are shown only once. Other sessions end."""
    recovery_codes = await second_factor.confirm(session, identity, body.code)
    return envelope(RecoveryCodesOut(recovery_codes=recovery_codes), "Your second factor is on.")


@router.delete("/me/second-factor", dependencies=[Depends(check_password_and_attempts)])
async def disable_second_factor(body: DisableSecondFactor, identity: CurrentUser, session: Db) -> Envelope[None]:
    """Disable it with the password and a code of the app or a recovery code. Other sessions end."""
    await second_factor.disable(session, identity, body.code)
    return envelope(None, "Your second factor is off.")
