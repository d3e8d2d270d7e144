"""Brings the database to the newest version, and says which version it has."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


def upgrade(url: str) -> None:
    """Run what is missing, as the owner of the tables."""
    command.upgrade(config(url), "head")


def config(url: str) -> Config:
    """Alembic's configuration, made here: there is no ini file to find."""
    package = Path(__file__).parents[1]
    # In a checkout the folder stands at the top; in a wheel it comes with the package.
    folders = (package.parents[1] / "migrations", package / "migrations")
    alembic = Config()
    alembic.set_main_option("script_location", str(next(f for f in folders if (f / "env.py").exists())))
    alembic.set_main_option("file_template", "%%(year)d_%%(month).2d_%%(day).2d_%%(hour).2d%%(minute).2d-%%(slug)s")
    alembic.attributes["url"] = url
    return alembic


def newest() -> str | None:
    """The version that this code wants."""
    return ScriptDirectory.from_config(config("")).get_current_head()


async def current(session: AsyncSession) -> str | None:
    """The version that the database has; None when it has no tables yet."""
    if not await session.scalar(text("select to_regclass('alembic_version')")):
        return None
    version: str | None = await session.scalar(text("select version_num from alembic_version"))
    return version
