"""Transactions without a session: statements as SQL, rows as tuples, and few round trips.

A session keeps track of models, which costs several times as much as the statements of a short request. The rules are
the same for both: row-level security, time limits, one commit at the edge, messages that are published with it, and the
errors of SQLAlchemy. `Db` stays the choice for requests that change models, `DriverDb` and `ReadDb` are for busy ones.
"""

from ticketing.infra.db.driver_transactions.reads import DriverReads
from ticketing.infra.db.driver_transactions.transaction import DriverTransaction

__all__ = ["DriverReads", "DriverTransaction"]
