"""Collect what is wrong with a plan's file: all faults at once, and what was changed or left out in reading it."""

from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from ticketing.infra.errors import Invalid
from ticketing.modules.venues.pretix.files import File, Path, find_duplicate_keys, locate

#: Listed of each kind; the rest is counted.
NOTES_MAX = 100


@dataclass(slots=True)
class Notes:
    """Places in the file with what is to be said of them: the first NOTES_MAX, and the number of the others."""

    listed: list[tuple[Path, str]] = field(default_factory=list)
    more: int = 0

    def add(self, path: Path, message: str) -> None:
        if len(self.listed) < NOTES_MAX:
            self.listed.append((path, message))
        else:
            self.more += 1


@dataclass(slots=True)
class Report:
    """The faults, which refuse the file, and the warnings, which do not."""

    faults: Notes = field(default_factory=Notes)
    warnings: Notes = field(default_factory=Notes)

    def refuse(self, path: Path, error: ValidationError) -> None:
        """Add each fault of a part of the file."""
        for fault in error.errors(include_url=False, include_context=False, include_input=False):
            self.faults.add((*path, *_without_branches(fault["loc"])), _message(fault["msg"]))

    def leave_out(self, path: Path, what: str, error: ValidationError) -> None:
        """Warn that a part was left out, with its first fault."""
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, _without_branches(first["loc"])))
        self.warnings.add(path, f"{what}: {where + ': ' if where else ''}{_message(first['msg'])}")

    def raise_faults(self, file: File) -> None:
        """Raise Invalid with the first fault's path as `field`, and the listed ones as `faults`, if there are any."""
        if not self.faults.listed:
            return
        faults = located(file, self.faults)
        (path, message), total = self.faults.listed[0], len(faults) + self.faults.more
        if total > 1:
            message = f"The file has {total:,} faults. The first one: {message}"
        field_ = ".".join(map(str, path)) or "body"
        raise Invalid(message, field=field_, faults=faults, more_faults=self.faults.more)


def warn_of_duplicate_keys(report: Report, file: File) -> None:
    """Add a warning for each key that an object has twice."""
    for path in find_duplicate_keys(file, NOTES_MAX):
        report.warnings.add(path, "This key appears twice in its object; the last one counts.")


def located(file: File, notes: Notes) -> list[dict[str, Any]]:
    """The notes with their places: `path`, `pointer` (RFC 6901), `line` and `column`; those two may be None."""
    positions = locate(file, {path for path, _ in notes.listed}) if notes.listed else {}
    entries = []
    for path, message in notes.listed:
        line, column = positions.get(path, (None, None))
        pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
        place = {"path": ".".join(map(str, path)), "pointer": pointer, "line": line, "column": column}
        entries.append({key: _printable(value) for key, value in {**place, "message": message}.items()})
    return entries


def _printable(value: Any) -> Any:
    # A key of the file may be half of a surrogate pair, which no response can contain.
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def _without_branches(path: tuple[int | str, ...]) -> Path:
    """The path without the names of branches of a union of types, which pydantic inserts."""
    return tuple(part for part in path if part not in ("Caption", "str") and str(part).replace("_", "").isalnum())


def _message(text: str) -> str:
    return text.removeprefix("Value error, ")
