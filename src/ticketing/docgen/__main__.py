"""`python -m ticketing.docgen docs`: write every generated page into that folder."""

import sys
from pathlib import Path

from ticketing.docgen.pages import PAGES


def main(folder: Path) -> None:
    """Write what has changed. Raises SystemExit, with a sentence per broken promise, when a message changed shape."""
    for name, make in PAGES.items():
        path = folder / name
        text = path.read_text() if path.exists() else ""
        try:
            path.write_text(make(text))
        except ValueError as error:
            sys.exit(f"{path}: {error}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
