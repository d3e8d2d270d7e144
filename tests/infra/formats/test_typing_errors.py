"""Typing errors: how many a word may have, and what they are."""

import pytest

from ticketing.infra.formats.typing_errors import distance, is_near


@pytest.mark.parametrize(
    ("one", "other", "errors"),
    [
        ("tale", "tale", 0),
        ("tlae", "tale", 1),
        ("tal", "tale", 1),
        ("talle", "tale", 1),
        ("tole", "tale", 1),
        ("", "ab", 2),
        ("ab", "", 2),
        ("mozrat", "mozart", 1),
        ("kitten", "sitting", 3),
    ],
)
def test_each_error_counts_once(one: str, other: str, errors: int) -> None:
    assert distance(one, other) == distance(other, one) == errors


@pytest.mark.parametrize(
    ("typed", "is_found"),
    [
        ("amlet", True),
        ("hamelt", True),
        ("hamlte", True),
        ("hamxyt", False),
        ("cat", False),
        ("hat", False),
        ("philharmnic", True),
        ("philharmoni", True),
        ("philhramonci", True),
        ("phylharmnicks", False),
        ("2026", False),
    ],
)
def test_longer_words_may_have_more_errors(typed: str, is_found: bool) -> None:
    assert is_near(typed, " hamlet 2027 ham\n philharmonic hall\n") == is_found
