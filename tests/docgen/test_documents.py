"""The documents name tests, files and links that exist."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEST = re.compile(r"`((?:\w+/)*test_\w+\.py)::(test_\w+)`")
REQUIREMENTS = (ROOT / "SRS.md").read_text()
SECURITY = (ROOT / "docs" / "security.md").read_text()
LINK = re.compile(r"\]\(([^)#:]+)\)")
#: A path in backticks that begins with a folder of the checkout.
PATH = re.compile(r"`((?:src|tests|docs|migrations|benchmarks|audits|deploy)/[\w./-]+)`")
#: What is made later: by `make bench`, and for the next decision.
MADE_LATER = {"benchmarks/results.json", "docs/decisions/NNNN-topic.md"}
ROW = re.compile(r"^\| ([A-Z])(\d+) \|.*$", re.MULTILINE)


def _exists(file: str, test: str) -> bool:
    path = ROOT / "tests" / file
    return path.exists() and bool(re.search(rf"^(async )?def {test}\(", path.read_text(), re.MULTILINE))


def test_every_requirement_names_a_test_that_exists() -> None:
    named = set(TEST.findall(REQUIREMENTS))
    assert len(named) > 100
    assert [name for name in sorted(named) if not _exists(*name)] == []


def test_every_requirement_names_exactly_one_test() -> None:
    rows = [found.group() for found in ROW.finditer(REQUIREMENTS)]
    assert len(rows) > 300
    assert [row for row in rows if len(TEST.findall(row)) != 1] == []


def test_ids_of_requirements_are_unique_and_in_order() -> None:
    ids = [(letter, int(number)) for letter, number in ROW.findall(REQUIREMENTS)]
    assert len(ids) == len(set(ids))
    assert [pair for pair in pairwise(ids) if pair[0][0] == pair[1][0] and pair[0][1] > pair[1][1]] == []


def test_a_claim_about_security_names_a_test_that_exists() -> None:
    named = set(TEST.findall(SECURITY))
    assert len(named) > 100
    assert len(named) == len(set(re.findall(r"[\w/.]+::\w+", SECURITY))), "one is written in another way"
    assert [name for name in sorted(named) if not _exists(*name)] == []


def test_security_gaps_are_repeated_at_the_end() -> None:
    end = SECURITY[SECURITY.index("## What is not covered") :].partition("Besides:")[0]
    for verdict, summary in zip(("not met", "partly"), end.split("*partly*"), strict=True):
        lines = re.findall(rf"^\| ([\d.]+) \| [12] \| [^|]+ \| {verdict} \|", SECURITY, re.MULTILINE)
        assert re.findall(r"\d+\.\d+\.\d+", summary) == lines


DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_paths_lead_somewhere(document: Path) -> None:
    text = document.read_text()
    broken = [link for link in LINK.findall(text) if not (document.parent / link).exists()]
    if document.name != "CHANGELOG.md":  # which speaks of files that were
        broken += [path for path in {*PATH.findall(text)} - MADE_LATER if not (ROOT / path).exists()]
    assert broken == []
