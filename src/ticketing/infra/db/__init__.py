"""Engine, session and transaction: what every module uses of the database."""

from ticketing.infra.db.driver.errors import sqlalchemy_error
from ticketing.infra.db.driver_transactions import DriverReads, DriverTransaction
from ticketing.infra.db.planning import constant
from ticketing.infra.db.session import (
    Base,
    Database,
    Db,
    DriverDb,
    Identified,
    ReadDb,
    new_id,
    on_commit,
)

__all__ = [
    "Base",
    "Database",
    "Db",
    "DriverDb",
    "DriverReads",
    "DriverTransaction",
    "Identified",
    "ReadDb",
    "constant",
    "new_id",
    "on_commit",
    "sqlalchemy_error",
]
