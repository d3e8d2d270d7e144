"""CSV files: the standard form for programs, and forms that Excel opens with a double click.

Excel reads UTF-8 only after a byte order mark, and takes the separators of the reader's country: a semicolon where
numbers have a decimal comma. It knows times without an offset only, so these are local times. A `sep=` line would set
the separator, but Excel then ignores the byte order mark.
"""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from ticketing.infra.formats.local_time import to_zone
from ticketing.infra.formats.times import rfc3339

BYTE_ORDER_MARK = "\ufeff"


class LocalTime(NamedTuple):
    """A moment, and the IANA name of the zone in which people read it."""

    moment: datetime
    timezone: str


Cell = str | int | Decimal | LocalTime | None


class CsvVariant(StrEnum):
    """Who reads the file."""

    #: Programs: RFC 4180, times in UTC.
    STANDARD = "standard"
    #: Excel where numbers have a decimal comma, such as in most of Europe.
    EXCEL = "excel"
    #: Excel where numbers have a decimal point.
    EXCEL_POINT = "excel-point"


@dataclass(frozen=True, slots=True)
class _Form:
    start: str
    separator: str
    decimal_point: str
    is_local: bool


_FORMS = {
    CsvVariant.STANDARD: _Form("", ",", ".", is_local=False),
    CsvVariant.EXCEL: _Form(BYTE_ORDER_MARK, ";", ",", is_local=True),
    CsvVariant.EXCEL_POINT: _Form(BYTE_ORDER_MARK, ",", ".", is_local=True),
}

#: Signs that begin a formula (OWASP, "CSV injection"), with their full-width and small forms, which Excel reads alike.
_SIGNS = "=+@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b-"
#: What programs skip before a sign: blanks, invisible characters and quotes.
_SKIPPED = "\\s\"'\u00ad\u200b-\u200f\u2060\ufeff"
# A program whose separator is another one splits a text where this file does not, so signs behind separators count too.
_FORMULA = re.compile(f"(^|[;,|\t\r\n])([{_SKIPPED}]*)(?=[{_SIGNS}])")
_CONTROL = re.compile("^(?=[\t\r\n])")


def start_csv(columns: Iterable[str], variant: CsvVariant) -> str:
    """The beginning of a file: its byte order mark, if it has one, and the header."""
    return _FORMS[variant].start + write_csv([columns], variant)


def write_csv(rows: Iterable[Iterable[Cell]], variant: CsvVariant) -> str:
    """Rows of a file. No text in them is evaluated as a formula, whatever separates the columns for the reader."""
    form, text = _FORMS[variant], io.StringIO()
    csv.writer(text, delimiter=form.separator).writerows([_write(cell, form) for cell in row] for row in rows)
    return text.getvalue()


def _write(cell: Cell, form: _Form) -> str:
    match cell:
        case None:
            return ""
        case LocalTime(moment, timezone):
            if form.is_local:
                return f"{to_zone(moment, timezone):%Y-%m-%d %H:%M:%S}"
            return rfc3339(moment)
        case str():
            return _FORMULA.sub(r"\1\2'", _CONTROL.sub("'", cell))
        case _:
            return str(cell).replace(".", form.decimal_point)
