"""Every generated page of docs/ is what the code produces now."""

from pathlib import Path

import pytest

from ticketing.docgen.__main__ import main
from ticketing.docgen.pages import PAGES

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_current(name: str) -> None:
    text = (DOCS / name).read_text()
    assert PAGES[name](text) == text, f"docs/{name} is out of date: run `make docs`"


def test_all_pages_are_written_into_a_folder(tmp_path: Path) -> None:
    for name in PAGES:
        (tmp_path / name).write_text((DOCS / name).read_text())
    (tmp_path / "errors.md").unlink()
    main(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        name: (DOCS / name).read_text() for name in PAGES
    }


def test_a_page_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    for name in PAGES:
        (tmp_path / name).write_text((DOCS / name).read_text())
    (tmp_path / "security.md").write_text("# Security\n")
    with pytest.raises(SystemExit, match=r"security\.md: .*needs the lines"):
        main(tmp_path)
