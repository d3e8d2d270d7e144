"""The invariants that `ticketing check` checks, in one file per subject."""

from ticketing.invariants.invariant import Invariant, InvariantResult
from ticketing.invariants.runner import INVARIANTS, OFFENDERS_MAX, check, check_in_transaction

__all__ = ["INVARIANTS", "OFFENDERS_MAX", "Invariant", "InvariantResult", "check", "check_in_transaction"]
