"""References can be read aloud and typed back."""

import pytest

from ticketing.modules.orders import references


def test_nothing_in_a_reference_can_be_mistaken() -> None:
    assert len(set(references.ALPHABET)) == 31
    assert not set("01OIL") & set(references.ALPHABET)


def test_references_are_eight_symbols_in_two_halves_and_differ() -> None:
    made = {references.new_reference() for _ in range(1000)}
    assert len(made) == 1000
    assert all(references.find_reference(one) == one for one in made)
    assert set("".join(made)) == {*references.ALPHABET, "-"}


@pytest.mark.parametrize("typed", ["7F3K-9QXM", "7f3k-9qxm", "7F3K9QXM", " 7f3k 9qxm ", "7-F-3-K-9-Q-X-M"])
def test_however_it_is_typed_it_is_found(typed: str) -> None:
    assert references.find_reference(typed) == "7F3K-9QXM"


@pytest.mark.parametrize("typed", ["", "7F3K-9QX", "7F3K-9QXMM", "7F3K-9QX0", "7F3K-9Q\x00M", "ß" * 4, "%"])
def test_what_can_not_be_a_reference_is_none(typed: str) -> None:
    assert references.find_reference(typed) is None
