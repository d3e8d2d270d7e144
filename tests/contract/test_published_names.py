"""Names that others rely on stay: what was published is still produced, and what is new gets published."""

import pytest

from tests.contract.comparison import compare
from tests.contract.subjects import DATABASE, REFRESH, SUBJECTS, published


def check(subject: str, current: list[str]) -> None:
    changes = compare(published(subject), current)
    assert changes.breaking == [], "published names are gone, or mean something else: clients would break"
    assert changes.new == [], f"new names are welcome; publish them with `{REFRESH}`"


@pytest.mark.parametrize("subject", SUBJECTS)
def test_published_names_stay(subject: str) -> None:
    check(subject, SUBJECTS[subject]())


def test_published_tables_columns_and_rules_stay(database_url: str) -> None:
    check("database", DATABASE(database_url))


def test_every_subject_has_published_names() -> None:
    assert {name: len(published(name)) for name in [*SUBJECTS, "database"] if len(published(name)) < 4} == {}


def test_a_removed_line_is_reported() -> None:
    changes = compare(["make run", "make test"], ["make run"])
    assert changes.breaking == ["gone or changed: make test"]


def test_a_new_line_breaks_nothing() -> None:
    changes = compare(["make run"], ["make check", "make run"])
    assert (changes.breaking, changes.new) == ([], ["make check"])


@pytest.mark.parametrize(
    ("line", "is_breaking"),
    [
        ('input HoldSeats.colour required {"type": "string"}', True),
        ('input HoldSeats.colour optional {"type": "string"}', False),
        ('input NewBody.colour required {"type": "string"}', False),
        ('output SeatOut.colour required {"type": "string"}', False),
        ('operation POST /holds parameter header x-colour required {"type": "string"}', True),
        ('operation POST /holds parameter header x-colour optional {"type": "string"}', False),
        ('operation POST /other parameter header x-colour required {"type": "string"}', False),
        ("operation POST /holds body application/json required {}", True),
    ],
)
def test_a_new_demand_on_existing_clients_is_breaking(line: str, is_breaking: bool) -> None:
    before = [
        'input HoldSeats {"type": "object"}',
        'output SeatOut {"type": "object"}',
        "operation POST /holds id hold",
    ]
    changes = compare(before, [*before, line])
    assert changes.demanded == ([line] if is_breaking else [])


def test_prose_is_not_part_of_the_document() -> None:
    from tests.contract.openapi import _without_prose

    schema = {"title": "A", "properties": {"title": {"type": "string", "description": "B"}}}
    assert _without_prose(schema) == {"properties": {"title": {"type": "string"}}}
