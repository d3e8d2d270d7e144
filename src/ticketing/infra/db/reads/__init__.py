"""Reads without a session, of several requests at once."""

from ticketing.infra.db.reads.batches import ReadBatches
from ticketing.infra.db.reads.driver_reads import DriverReads

__all__ = ["DriverReads", "ReadBatches"]
