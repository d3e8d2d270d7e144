"""The table of permissions in docs/security.md is the one of the code."""

from pathlib import Path

import pytest

from ticketing.docgen.permissions_page import render, write

DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"


def test_the_page_has_the_table_of_the_code() -> None:
    text = DOCUMENT.read_text()
    assert write(text) == text, "the table of permissions has changed: run `make docs`"


def test_the_table_names_every_permission_and_every_role() -> None:
    head, _, *rows = render().splitlines()
    for role in ("ORG_ADMIN", "ORG_STAFF", "ORG_SCANNER", "SUPPORT", "DEVICE"):
        assert f"`{role}`" in head
    assert "| make API keys | yes |  |  |  |  |  |" in rows
    assert "| read tickets, with the codes that admit | yes | yes |  |  |  |  |" in rows
    assert "| check tickets in | yes | yes | yes |  | yes | yes |" in rows


def test_a_page_without_the_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="needs the lines"):
        write("# Security\n")
