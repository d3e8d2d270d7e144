"""Engine, session and transaction: what every module uses of the database."""

from ticketing.infra.db.session import (
    Base,
    Database,
    Db,
    Identified,
    as_sqlalchemy_says,
    new_id,
    on_commit,
)

__all__ = [
    "Base",
    "Database",
    "Db",
    "Identified",
    "as_sqlalchemy_says",
    "new_id",
    "on_commit",
]
