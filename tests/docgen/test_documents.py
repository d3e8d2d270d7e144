"""What the documents say is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEST = re.compile(r"`((?:\w+/)*test_\w+\.py)::(test_\w+)`")
REQUIREMENTS = (ROOT / "SRS.md").read_text()
SECURITY = (ROOT / "docs" / "security.md").read_text()
LINK = re.compile(r"\]\(([^)#:]+)\)")


def _exists(file: str, test: str) -> bool:
    return bool(re.search(rf"^(async )?def {test}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE))


@pytest.mark.parametrize(("file", "test"), sorted(set(TEST.findall(REQUIREMENTS))))
def test_a_requirement_names_a_test_that_exists(file: str, test: str) -> None:
    assert _exists(file, test)


def test_a_claim_about_security_names_a_test_that_exists() -> None:
    named = set(TEST.findall(SECURITY))
    assert len(named) > 100
    assert len(named) == len(set(re.findall(r"[\w/.]+::\w+", SECURITY))), "one is written in another way"
    assert [name for name in sorted(named) if not _exists(*name)] == []


def test_what_is_not_met_is_said_again_at_the_end() -> None:
    end = SECURITY[SECURITY.index("## What is not covered") :].partition("Besides:")[0]
    for verdict, said in zip(("not met", "partly"), end.split("*partly*"), strict=True):
        lines = re.findall(rf"^\| ([\d.]+) \| [12] \| [^|]+ \| {verdict} \|", SECURITY, re.MULTILINE)
        assert re.findall(r"\d+\.\d+\.\d+", said) == lines


def test_every_requirement_is_shown_by_something() -> None:
    rows = re.findall(r"^\| ([A-Z]\d+) \|.*$", REQUIREMENTS, re.MULTILINE)
    bare = [row for row in re.findall(r"^\| [A-Z]\d+ \|.*$", REQUIREMENTS, re.MULTILINE) if "::" not in row]
    assert len(rows) == len(set(rows)) > 50
    assert bare == []


@pytest.mark.parametrize("document", [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")], ids=lambda p: p.name)
def test_links_lead_somewhere(document: Path) -> None:
    broken = [link for link in LINK.findall(document.read_text()) if not (document.parent / link).exists()]
    assert broken == []
