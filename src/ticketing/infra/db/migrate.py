"""Bring the database to the newest schema version."""

from alembic import command
from alembic.config import Config

from ticketing.infra.db import log_cluster, planning, schema


def upgrade(url: str) -> None:
    """Run the missing migrations, as the owner of the tables, and adopt the log of another cluster."""
    command.upgrade(config(url), "head")
    log_cluster.adopt_as_owner(url)
    planning.stabilize_plans(url)


def config(url: str) -> Config:
    """Alembic's configuration, built here: there is no ini file."""
    alembic = Config()
    alembic.set_main_option("script_location", str(schema.folder()))
    alembic.set_main_option("file_template", "%%(year)d_%%(month).2d_%%(day).2d_%%(hour).2d%%(minute).2d-%%(slug)s")
    alembic.attributes["url"] = url
    return alembic
