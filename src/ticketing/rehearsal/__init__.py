"""A rehearsal of an on-sale: a load test of the running platform with a copy of a real event, and a go or no-go."""

from ticketing.rehearsal.options import RehearsalError, RehearsalOptions
from ticketing.rehearsal.progress import ProgressDisplay
from ticketing.rehearsal.run import Rehearsal, clean

__all__ = ["ProgressDisplay", "Rehearsal", "RehearsalError", "RehearsalOptions", "clean"]
