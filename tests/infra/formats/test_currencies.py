"""ISO 4217 decides which currencies can be charged and how many digits they have."""

import csv
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from ticketing.infra.formats.currencies import DIGITS, digits_of, format_money, to_decimal
from ticketing.infra.http.fields import Currency, Money

#: Codes, minor units and the mark of a fund of the standard's list one.
LIST_ONE = Path(__file__).parent / "iso-4217-list-one-2026-01-01.csv"
#: Units of account that the list does not mark as funds.
UNITS_OF_ACCOUNT = {"UYW", "XAD"}

_currency = TypeAdapter(Currency)


def _list_one() -> list[dict[str, str]]:
    with LIST_ONE.open() as file:
        return list(csv.DictReader(file))


def test_the_digits_are_those_of_the_standard() -> None:
    tender = {
        row["code"]: row["minor_units"] for row in _list_one() if not row["fund"] and row["minor_units"] != "N.A."
    }
    assert {code: str(digits) for code, digits in DIGITS.items()} == {
        code: digits for code, digits in tender.items() if code not in UNITS_OF_ACCOUNT
    }


def test_only_currencies_that_can_be_paid_in_are_accepted() -> None:
    for code in DIGITS:
        assert _currency.validate_python(code) == code
    others = {row["code"] for row in _list_one()} - DIGITS.keys()
    assert {"XXX", "XTS", "XAU", "BOV", "CLF"} <= others
    for code in others | {"DEM", "HRK", "ABC", "eur", "EURO", ""}:
        with pytest.raises(ValidationError):
            _currency.validate_python(code)


@pytest.mark.parametrize("currency", DIGITS)
def test_every_currency_is_written_with_its_digits(currency: str) -> None:
    digits = DIGITS[currency]
    assert Money(amount=4500, currency=currency).model_dump()["digits"] == digits
    assert str(to_decimal(4500, currency)) == {0: "4500", 2: "45.00", 3: "4.500"}[digits]
    assert format_money(123456, currency, "en").endswith({0: "123,456", 2: "1,234.56", 3: "123.456"}[digits])


def test_symbols_and_spaces_are_those_of_browsers() -> None:
    assert format_money(4500, "EUR", "en") == "€45.00"
    assert format_money(4500, "HUF", "en") == "HUF\N{NO-BREAK SPACE}45.00"
    assert format_money(4500, "HUF", "nl") == "HUF\N{NO-BREAK SPACE}45,00"
    assert format_money(4500, "EUR", "de") == "45,00\N{NO-BREAK SPACE}€"


def test_a_withdrawn_currency_keeps_two_digits() -> None:
    assert digits_of("BGN") == 2
