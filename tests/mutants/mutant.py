"""What a mutant is: a small wound in the source, and the tests that have to feel it."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Edit:
    """A text of a file that is found exactly once, and what stands there instead."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """Edits that belong together. `is_quick` ones are tried with the ordinary tests, all with `make mutants`."""

    name: str
    #: What would happen if nobody noticed.
    harm: str
    edits: tuple[Edit, ...]
    #: Each of these has to fail.
    tests: tuple[str, ...]
    is_quick: bool = False


class NotFoundOnce(Exception):
    """The text that a mutant replaces is gone, or is there several times: give the mutant the text of today."""


def mutate(folder: Path, mutant: Mutant) -> None:
    """Make the edits in a copy of the project. Raises NotFoundOnce, naming the file."""
    for edit in mutant.edits:
        path = folder / edit.path
        source = path.read_text()
        if source.count(edit.old) != 1:
            raise NotFoundOnce(f"{mutant.name}: {edit.path} has it {source.count(edit.old)} times: {edit.old!r}")
        path.write_text(source.replace(edit.old, edit.new))
