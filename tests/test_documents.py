"""What the documents say is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NAMED = sorted(set(re.findall(r"`((?:\w+/)*test_\w+\.py)::(test_\w+)`", (ROOT / "SRS.md").read_text())))
LINK = re.compile(r"\]\(([^)#:]+)\)")


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_a_requirement_names_a_test_that_exists(file: str, test: str) -> None:
    assert re.search(rf"^(async )?def {test}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE)


def test_every_requirement_is_shown_by_something() -> None:
    rows = re.findall(r"^\| ([A-Z]\d+) \|.*$", (ROOT / "SRS.md").read_text(), re.MULTILINE)
    bare = [
        row for row in re.findall(r"^\| [A-Z]\d+ \|.*$", (ROOT / "SRS.md").read_text(), re.MULTILINE) if "::" not in row
    ]
    assert len(rows) == len(set(rows)) > 50
    assert bare == []


@pytest.mark.parametrize("document", [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")], ids=lambda p: p.name)
def test_links_lead_somewhere(document: Path) -> None:
    broken = [link for link in LINK.findall(document.read_text()) if not (document.parent / link).exists()]
    assert broken == []
