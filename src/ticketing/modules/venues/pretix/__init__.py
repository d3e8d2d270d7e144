"""Import of seating plans in pretix's open JSON format."""

from ticketing.modules.venues.pretix.parts import SCHEMA
from ticketing.modules.venues.pretix.reader import Plan, parse_plan, read_plan

__all__ = ["SCHEMA", "Plan", "parse_plan", "read_plan"]
