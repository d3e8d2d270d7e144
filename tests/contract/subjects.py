"""What is published, by the name of its file in `published/`."""

from collections.abc import Callable
from pathlib import Path

from tests.contract import commands, database, names, openapi, source
from ticketing.main import create_app

FOLDER = Path(__file__).parent / "published"
REFRESH = "python -m tests.contract"

#: Each produces its lines from the code alone.
SUBJECTS: dict[str, Callable[[], list[str]]] = {
    "openapi": lambda: openapi.lines(create_app().openapi()),
    "commands": commands.lines,
    "metrics": names.metrics,
    "settings": names.settings,
    "environment": source.environment,
    "messages": names.messages,
    "readers": names.readers,
    "crash_points": names.crash_points,
    "error_codes": names.error_codes,
    "log_events": source.log_events,
    "alerts": source.alerts,
    "pages": names.pages,
    "make": source.commands_of_make,
    "entry_points": source.entry_points,
}
#: Takes the address of a migrated database.
DATABASE: Callable[[str], list[str]] = database.lines


def published(subject: str) -> list[str]:
    return (FOLDER / f"{subject}.txt").read_text().splitlines()
