"""Queries for users."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.email_addresses import normalize_email
from ticketing.infra.errors import NotFound
from ticketing.modules.iam.models import User


class UserUnknown(NotFound):
    """There is no such person here."""


async def get_user(session: AsyncSession, user_id: UUID) -> User:
    """Raises UserUnknown."""
    user = await session.get(User, user_id)
    if user is None:
        raise UserUnknown
    return user


async def find_user(session: AsyncSession, email: str) -> User | None:
    """Return the user with this address in any spelling."""
    return (await session.scalars(select(User).where(User.email_normalized == normalize_email(email)))).one_or_none()


async def list_users(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, User]:
    """Return the users with these ids; unknown ids are left out."""
    users = await session.scalars(select(User).where(User.id.in_(ids)))
    return {user.id: user for user in users}
