"""A rehearsal of an on-sale, the day before: a crowd of buyers at a copy of a real event, and a go or a no-go."""

from ticketing.rehearsal.options import Choices, RehearsalError
from ticketing.rehearsal.progress import Display
from ticketing.rehearsal.run import Rehearsal, clean

__all__ = ["Choices", "Display", "Rehearsal", "RehearsalError", "clean"]
