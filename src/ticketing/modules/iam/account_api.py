"""Email verification, password change and password reset."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request

from ticketing.infra import app_state, security
from ticketing.infra.db import Database, Db
from ticketing.infra.http import idempotency
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.modules.iam import password_reset, service
from ticketing.modules.iam.access import CurrentUser
from ticketing.modules.iam.mail_tokens import recipients
from ticketing.modules.iam.mail_tokens import service as mail_tokens
from ticketing.modules.iam.mail_tokens.links import read_link, read_purpose
from ticketing.modules.iam.mail_tokens.models import Purpose
from ticketing.modules.iam.schemas import AskForReset, ChangePassword, ResetPassword, VerifyEmail

router = APIRouter(tags=["iam"], route_class=idempotency.Route)


@router.post("/auth/verify-email")
async def verify_email(body: VerifyEmail, session: Db) -> Envelope[None]:
    """Verify an email address with the link that was mailed to it; no login is needed.

    The link is that of an account, or that of an order whose emails the address is to get.
    """
    purpose, token_id = read_purpose(body.token, Purpose.VERIFY_EMAIL, Purpose.CONFIRM_RECIPIENT)
    confirm = mail_tokens.verify_email if purpose is Purpose.VERIFY_EMAIL else recipients.confirm_recipient
    await confirm(session, token_id)
    return envelope(None, "Your e-mail address is verified.")


@router.post("/me/verify-email", status_code=202)
async def send_verification_again(identity: CurrentUser, session: Db) -> Envelope[None]:
    """Send the verification email of the caller again; at most one per minute."""
    await mail_tokens.request_verification_again(session, identity.user_id)
    return envelope(None, "A letter is on its way to you.")


@router.post("/auth/password-reset", status_code=202)
async def ask_for_reset(body: AskForReset, session: Db) -> Envelope[None]:
    """Request an email with a password reset link. The response is the same for unknown addresses."""
    await password_reset.request_reset(session, body.email)
    return envelope(None, "If there is an account with this address, a letter is on its way to it.")


async def read_reset_link(body: ResetPassword) -> UUID:
    return read_link(body.token, Purpose.RESET_PASSWORD)


# After the link is verified, because a hash costs a hundred times as much, and before a connection is acquired.
async def hash_password(body: ResetPassword, _: Annotated[UUID, Depends(read_reset_link)]) -> str:
    return await security.hash_password(body.password)


@router.post("/auth/password-reset/confirm", dependencies=[Depends(hash_password), Depends(idempotency.claim)])
async def reset_password(
    body: ResetPassword,
    token_id: Annotated[UUID, Depends(read_reset_link)],
    password_hash: Annotated[str, Depends(hash_password)],
    session: Db,
) -> Envelope[None]:
    """Set a new password with the emailed link, which works once; every session of the user ends."""
    await password_reset.reset_password(session, token_id, password_hash)
    return envelope(None, "Your password is changed. Please log in with it.")


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
