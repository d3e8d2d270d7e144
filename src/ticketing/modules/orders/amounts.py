"""Amounts of money for people to read. Everywhere else an amount is an integer in minor units."""

from decimal import Decimal

from babel.numbers import format_currency, get_currency_precision


def to_decimal(amount_minor: int, currency: str) -> Decimal:
    """Convert minor units to major units with as many decimals as the currency has: 4500 EUR is 45.00."""
    return Decimal(amount_minor).scaleb(-get_currency_precision(currency))


def format_money(amount_minor: int, currency: str, locale: str) -> str:
    """Format an amount with its currency symbol: `€45.00`."""
    return str(format_currency(to_decimal(amount_minor, currency), currency, locale=locale))
