"""Engine, session and transaction: what every module uses of the database."""

from ticketing.infra.db.driver.errors import sqlalchemy_error
from ticketing.infra.db.planning import constant
from ticketing.infra.db.reads import DriverReads
from ticketing.infra.db.session import (
    Base,
    Database,
    Db,
    Identified,
    ReadDb,
    new_id,
    on_commit,
    transaction_time,
)

__all__ = [
    "Base",
    "Database",
    "Db",
    "DriverReads",
    "Identified",
    "ReadDb",
    "constant",
    "new_id",
    "on_commit",
    "sqlalchemy_error",
    "transaction_time",
]
