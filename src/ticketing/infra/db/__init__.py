"""Engine, session and transaction: what every module uses of the database."""

from ticketing.infra.db.constant import constant
from ticketing.infra.db.session import (
    Base,
    Database,
    Db,
    Identified,
    new_id,
    on_commit,
    sqlalchemy_error,
)

__all__ = [
    "Base",
    "Database",
    "Db",
    "Identified",
    "constant",
    "new_id",
    "on_commit",
    "sqlalchemy_error",
]
