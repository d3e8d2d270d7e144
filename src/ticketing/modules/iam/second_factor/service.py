"""Optional second factor: a TOTP code of six digits, or one of ten recovery codes.

An attempt is counted in a separate transaction before the digits are checked, and taken back when they are correct:
an error rolls its own transaction back, and 50 concurrent guesses must not be checked before the first one counts.
Recovery codes have 120 bits and need no such limit, so they also work after an attacker has used up the attempts.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox, security
from ticketing.infra.db import Database
from ticketing.infra.errors import Conflict, Invalid, TicketingError, Unauthenticated
from ticketing.modules.iam.access import Identity
from ticketing.modules.iam.messages import SecondFactorDisabled, SecondFactorEnabled
from ticketing.modules.iam.models import EndReason, User
from ticketing.modules.iam.second_factor import codes
from ticketing.modules.iam.second_factor.models import SecondFactor
from ticketing.modules.iam.sessions import service as sessions

#: After OWASP ASVS 5.0 6.6.3 on out-of-band codes: guessing must be limited. Five attempts in 15 minutes give an
#: attacker odds of 1 : 66,000.
ATTEMPTS_MAX = 5
ATTEMPTS_WINDOW = timedelta(minutes=15)


class SecondFactorRequired(Unauthenticated):
    """This account has a second factor: send the code from your authenticator app as well."""

    code = "second_factor_required"


class SecondFactorWrong(Unauthenticated):
    """This code is wrong, too old, or used already."""

    code = "second_factor_wrong"


class CodeInvalid(Invalid):
    """This code is wrong, too old, or used already."""


class SecondFactorActive(Conflict):
    """The second factor is on already."""

    code = "second_factor_active"


class SecondFactorAbsent(Conflict):
    """There is no second factor to do this with."""

    code = "second_factor_absent"


class TooManyAttempts(TicketingError):
    """Too many wrong codes; wait a little, or use a recovery code."""

    status, code = 429, "rate_limited"


async def has_second_factor(session: AsyncSession, user_id: UUID) -> bool:
    """Whether login of this user requires a code."""
    confirmed = select(SecondFactor.user_id).where(_is_of(user_id), SecondFactor.confirmed_at.is_not(None))
    return await session.scalar(confirmed) is not None


async def count_attempt(database: Database, user_id: UUID, code: str | None) -> None:
    """Count an attempt at a TOTP code, in a separate transaction that holds no other lock.

    Raises:
        TooManyAttempts: ATTEMPTS_MAX wrong ones within ATTEMPTS_WINDOW. Recovery codes are not counted.
    """
    if code is None or not codes.is_digits(codes.normalize(code)):
        return
    async with database.transaction() as session:
        found = await _lock(session, user_id)
        if found is None:
            return
        factor, now = found
        if factor.tries_since is None or factor.tries_since <= now - ATTEMPTS_WINDOW:
            factor.tries, factor.tries_since = 0, now
        if factor.tries >= ATTEMPTS_MAX:
            error = TooManyAttempts()
            error.retry_after_seconds = int((factor.tries_since + ATTEMPTS_WINDOW - now).total_seconds()) + 1
            raise error
        factor.tries += 1


async def check(session: AsyncSession, user: User, code: str | None) -> None:
    """Check the second factor of a user whose password was correct; a user without one passes.

    Raises:
        SecondFactorRequired, SecondFactorWrong.
    """
    found = await _lock(session, user.id)
    if found is None or found[0].confirmed_at is None:
        return
    if code is None:
        raise SecondFactorRequired
    if not _take(*found, code):
        raise SecondFactorWrong


async def begin(session: AsyncSession, user_id: UUID) -> bytes:
    """Create a secret, which has no effect until `confirm`. Calling it again replaces the secret.

    Raises:
        SecondFactorActive.
    """
    secret = codes.new_secret()
    row = insert(SecondFactor).values(user_id=user_id, sealed_secret=security.seal(secret))
    reset = {"sealed_secret": row.excluded.sealed_secret, "created_at": func.now(), "last_step": 0}
    row = row.on_conflict_do_update(index_elements=["user_id"], set_=reset, where=SecondFactor.confirmed_at.is_(None))
    if await session.scalar(row.returning(SecondFactor.user_id)) is None:
        raise SecondFactorActive
    return secret


async def confirm(session: AsyncSession, identity: Identity, code: str) -> list[str]:
    """Enable it with a first code and return the recovery codes, which are shown only once. Other sessions end.

    Raises:
        SecondFactorAbsent, SecondFactorActive, CodeInvalid.
    """
    await sessions.lock_user(session, identity.user_id)
    found = await _lock(session, identity.user_id)
    if found is None:
        raise SecondFactorAbsent
    factor, now = found
    if factor.confirmed_at is not None:
        raise SecondFactorActive
    if not _take(factor, now, code):
        raise CodeInvalid(field="code")
    recovery_codes = codes.new_recovery_codes()
    factor.confirmed_at, factor.recovery_hashes = now, [codes.recovery_hash(each) for each in recovery_codes]
    outbox.publish(session, SecondFactorEnabled(user_id=identity.user_id))
    await _end_other_sessions(session, identity)
    return recovery_codes


async def disable(session: AsyncSession, identity: Identity, code: str) -> None:
    """Disable it with a code of the app or a recovery code. Other sessions end.

    Raises:
        SecondFactorAbsent, CodeInvalid.
    """
    await sessions.lock_user(session, identity.user_id)
    found = await _lock(session, identity.user_id)
    if found is None or found[0].confirmed_at is None:
        raise SecondFactorAbsent
    if not _take(*found, code):
        raise CodeInvalid(field="code")
    await drop(session, identity.user_id)
    outbox.publish(session, SecondFactorDisabled(user_id=identity.user_id))
    await _end_other_sessions(session, identity)


async def drop(session: AsyncSession, user_id: UUID) -> None:
    """Delete the second factor."""
    await session.execute(delete(SecondFactor).where(_is_of(user_id)))


async def _end_other_sessions(session: AsyncSession, identity: Identity) -> None:
    # Sessions that were opened under the previous login requirements must log in again.
    reason = EndReason.SECOND_FACTOR_CHANGED
    await sessions.end_sessions(session, identity.user_id, except_session=identity.session_id, reason=reason)


def _take(factor: SecondFactor, now: datetime, code: str) -> bool:
    """Consume a valid code. The row is locked, so the same code is accepted once even in concurrent requests."""
    plain = codes.normalize(code)
    if codes.is_digits(plain):
        return _take_digits(factor, plain, now)
    digest = codes.recovery_hash(plain)
    if digest not in factor.recovery_hashes:
        return False
    factor.recovery_hashes = [one for one in factor.recovery_hashes if one != digest]
    return True


def _take_digits(factor: SecondFactor, digits: str, now: datetime) -> bool:
    try:
        secret = security.unseal(factor.sealed_secret)
    except security.SealUnknown:  # its key was removed from JWT_SECRET; recovery codes still work
        return False
    step = codes.find_step(secret, digits, now.timestamp())
    if step is None or step <= factor.last_step:
        return False
    factor.last_step, factor.tries = step, max(0, factor.tries - 1)
    # Re-encrypted with the newest key, so that older keys can be removed from JWT_SECRET.
    factor.sealed_secret = security.seal(secret)
    return True


async def _lock(session: AsyncSession, user_id: UUID) -> tuple[SecondFactor, datetime] | None:
    """Return the row, re-read and locked, and the database time by which its codes are checked."""
    query = select(SecondFactor, func.clock_timestamp()).where(_is_of(user_id)).with_for_update()
    row = (await session.execute(query.execution_options(populate_existing=True))).one_or_none()
    return None if row is None else (row[0], row[1])


def _is_of(user_id: UUID) -> ColumnElement[bool]:
    return SecondFactor.user_id == user_id
