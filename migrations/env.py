"""Alembic's environment: the tables of every module, and the owner's connection."""

from alembic import context
from sqlalchemy import create_engine, pool
from sqlalchemy.dialects.postgresql.base import ischema_names

from ticketing import main
from ticketing.infra.bus import dead_letters
from ticketing.infra.config import get_settings
from ticketing.infra.db import Base
from ticketing.infra.kafka import lag
from ticketing.infra.outbox import Xid8
from ticketing.modules import notifications  # (its table; `main` has no use for the module)

# `alembic check` reflects every column's type, and SQLAlchemy does not know this one.
ischema_names["xid8"] = Xid8

#: Prefixes of partitions, which scheduled jobs create and no model describes.
PARTITIONED = ("outbox_",)


def is_ours(name: str | None, kind: str, parents: object) -> bool:
    return not (kind == "table" and name is not None and name.startswith(PARTITIONED) and name != "outbox_cursor")


def run() -> None:
    url = context.config.attributes.get("url") or get_settings().migration_database_url or get_settings().database_url
    engine = create_engine(url, poolclass=pool.NullPool, connect_args={"options": "-c lock_timeout=4s"})
    with engine.connect() as connection:
        context.configure(
            connection=connection, target_metadata=Base.metadata, include_name=is_ours, transaction_per_migration=True
        )
        with context.begin_transaction():
            context.run_migrations()


run()
