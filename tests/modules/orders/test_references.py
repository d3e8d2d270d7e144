"""Order references: generating them, and normalizing what a buyer typed."""

import pytest

from ticketing.modules.orders import references


def test_references_use_no_look_alike_symbols() -> None:
    assert len(set(references.ALPHABET)) == 31
    assert not set("01OIL") & set(references.ALPHABET)


def test_references_are_eight_symbols_and_differ() -> None:
    made = {references.new_reference() for _ in range(1000)}
    assert len(made) == 1000
    assert all(references.find_reference(one) == one for one in made)
    assert set("".join(made)) == {*references.ALPHABET, "-"}


#: U+2011, U+2013 and U+2212 are the dashes that programs make of a hyphen; full-width letters come from CJK keyboards.
TYPED = (
    *("7F3K-9QXM", "7f3k-9qxm", "7F3K9QXM", " 7f3k 9qxm ", "7-F-3-K-9-Q-X-M"),
    *(f"7F3K{dash}9QXM" for dash in ("\u2011", "\u2013", "\u2212", "\xad", "\xa0", "\u200b", "\uff0d")),
    "\uff17\uff46\uff13\uff4b9qxm",
)


@pytest.mark.parametrize("typed", TYPED)
def test_a_typed_reference_is_normalized(typed: str) -> None:
    assert references.find_reference(typed) == "7F3K-9QXM"


@pytest.mark.parametrize(
    "typed", ["", "7F3K-9QX", "7F3K-9QXMM", "7F3K-9QX0", "7F3K-9Q\x00M", "ß" * 4, "%", "7F3K-9QX" + "\u0301" * 100_000]
)
def test_a_malformed_reference_is_none(typed: str) -> None:
    assert references.find_reference(typed) is None
