"""A mutant: a small defect in the source, and the tests that must fail because of it."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Edit:
    """A text that occurs exactly once in a file, and its replacement."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """Edits that are applied together. Those with `is_quick` run with the ordinary tests, all with `make mutants`."""

    name: str
    #: The consequence of the defect.
    harm: str
    edits: tuple[Edit, ...]
    #: Each of these must fail.
    tests: tuple[str, ...]
    is_quick: bool = False


class NotFoundOnce(Exception):
    """The text that a mutant replaces is missing or not unique: update the mutant to the current source."""


def mutate(folder: Path, mutant: Mutant) -> None:
    """Apply the edits to a copy of the project. Raises NotFoundOnce, naming the file."""
    for edit in mutant.edits:
        path = folder / edit.path
        source = path.read_text()
        if source.count(edit.old) != 1:
            raise NotFoundOnce(f"{mutant.name}: {edit.path} contains it {source.count(edit.old)} times: {edit.old!r}")
        path.write_text(source.replace(edit.old, edit.new))
