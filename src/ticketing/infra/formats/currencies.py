"""The currencies of ISO 4217: which may be charged, how many digits they have, and amounts for people to read.

The standard alone decides both. Libraries for display (Babel, a browser's Intl) round some currencies to whole units
because prices in shops have no smaller ones, and differ from each other.

Source: ISO 4217, list one, as published on 2026-01-01 by the maintenance agency (SIX). A test compares the sets below
with it. Without the codes of funds and of units of account (such as CLF, UYW, XAD and XDR), of metals, and for testing.
"""

import re
from copy import copy
from decimal import Decimal

from babel import Locale
from babel.numbers import get_currency_symbol

_NO_DIGITS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_TWO_DIGITS = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK
DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD
KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP
PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH
USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"""
_THREE_DIGITS = "BHD IQD JOD KWD LYD OMR TND"

#: The digits of each currency that can be charged today.
DIGITS = {
    code: digits for digits, codes in ((0, _NO_DIGITS), (2, _TWO_DIGITS), (3, _THREE_DIGITS)) for code in codes.split()
}


def digits_of(currency: str) -> int:
    """The number of digits of the minor unit: 2 for EUR, 0 for JPY.

    A currency that has been withdrawn since something was sold in it has two, as nearly all of them had.
    """
    return DIGITS.get(currency, 2)


def to_decimal(amount_minor: int, currency: str) -> Decimal:
    """Convert minor units to major units with as many decimals as the currency has: 4500 EUR is 45.00."""
    return Decimal(amount_minor).scaleb(-digits_of(currency))


def format_money(amount_minor: int, currency: str, locale: str) -> str:
    """Format an amount as browsers do: `€45.00`, and `HUF 45.00` with a space that does not break."""
    known = Locale.parse(locale)
    pattern = copy(known.currency_formats["standard"])
    pattern.frac_prec = (digits_of(currency),) * 2  # Babel has none for some currencies, such as HUF
    if get_currency_symbol(currency, known)[-1:].isalpha():
        pattern.prefix = tuple(re.sub("¤$", "¤\N{NO-BREAK SPACE}", prefix) for prefix in pattern.prefix)
    return str(pattern.apply(to_decimal(amount_minor, currency), known, currency=currency, currency_digits=False))
