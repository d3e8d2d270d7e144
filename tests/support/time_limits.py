"""Lengthens the product's time limits for tests of other subjects.

In production a connection to Postgres is closed after 8 s in one transaction. On a busy machine, a test that holds a
transaction open, or fifty requests that share a pool, could exceed these limits by chance.
"""

import pytest

from ticketing.infra.db import Database, timeouts

#: The limit for anything in a test that takes milliseconds on an idle machine.
PATIENCE_SECONDS = 60.0

_defaults: dict[str, float] = Database.__init__.__kwdefaults__
_PRODUCT_STATEMENT_SECONDS, _PRODUCT_CONNECT_SECONDS = _defaults["statement_seconds"], timeouts.CONNECT_SECONDS


def lengthen() -> None:
    """Set the limits of statements, transactions and connecting to PATIENCE_SECONDS, in this process."""
    _defaults["statement_seconds"] = PATIENCE_SECONDS
    timeouts.CONNECT_SECONDS = int(PATIENCE_SECONDS)


@pytest.fixture
def product_time_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the limits of production, for tests of the limits themselves."""
    monkeypatch.setitem(_defaults, "statement_seconds", _PRODUCT_STATEMENT_SECONDS)
    monkeypatch.setattr(timeouts, "CONNECT_SECONDS", _PRODUCT_CONNECT_SECONDS)
