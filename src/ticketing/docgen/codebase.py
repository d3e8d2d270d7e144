"""The code base as the generators see it: its files, its modules, and everything imported."""

import importlib
import pkgutil
from pathlib import Path

import ticketing

SOURCE = Path(ticketing.__file__).parent

#: The modules of ARCHITECTURE.md, lowest first: a module calls only those before it.
MODULE_ORDER = (
    "health",
    "iam",
    "organizations",
    "venues",
    "events",
    "waitingroom",
    "reservations",
    "orders",
    "payments",
    "tickets",
    "notifications",
    "webhooks",
    "realtime",
    "privacy",
    "graphql",
)


def import_everything() -> None:
    """Import every module of the package, so that subclasses and metrics are registered."""
    for module in pkgutil.walk_packages(ticketing.__path__, f"{ticketing.__name__}."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)


def one_line(text: str | None) -> str:
    """A docstring as one line that fits into a cell of a table."""
    return " ".join((text or "").split()).replace("|", "\\|")
