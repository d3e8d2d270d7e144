"""CSV for programs and for Excel: formulas stay dead, numbers and times are read as such."""

import csv
import io
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

import ticketing
from ticketing.infra.formats.spreadsheets import CsvVariant, LocalTime, start_csv, write_csv

#: What a program may take for the separator, whatever the file has.
SEPARATORS = ",;|\t"
SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20\ufe66"
HOSTILE = [
    *(
        f"{before}{sign}cmd|' /C calc'!A0"
        for sign in SIGNS
        for before in ("", " ", "\t", "\r", "\n", "\xa0", "\u3000", "\u200b", '"', "'")
    ),
    *(f"Ada{separator}{blank}{sign}1+1" for sign in SIGNS for separator in SEPARATORS for blank in ("", " ", '"')),
    'x";=HYPERLINK("http://example.com";"y")',
]


@pytest.mark.parametrize("variant", CsvVariant)
def test_no_text_is_a_formula_whatever_separates(variant: CsvVariant) -> None:
    file = write_csv([["first", text, "last"] for text in HOSTILE], variant)
    alive = [part for separator in SEPARATORS for part in _cells(file, separator) if _is_formula(part)]
    # A program that knows no quotes at all.
    alive += [part for part in re.split(f"[{SEPARATORS}\r\n]", file) if _is_formula(part)]
    assert alive == []


def _cells(file: str, separator: str) -> list[str]:
    return [cell for row in csv.reader(io.StringIO(file, newline=""), delimiter=separator) for cell in row]


def _is_formula(cell: str) -> bool:
    return cell.strip('\u200b\ufeff \t\r\n\xa0\u3000"').startswith(tuple(SIGNS))


@pytest.mark.parametrize("text", ["Ada Byron", "O'Neill", "Smith, Ada; Byron", "a-b", "1 + 1 = 2", "x@example.com", ""])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert _cells(write_csv([[text, "-"[:0]]], CsvVariant.STANDARD), ",") == [text, ""]


NOON = LocalTime(datetime(2027, 7, 1, 12, tzinfo=UTC), "Europe/Amsterdam")
ROW = ["Zoë", 7, Decimal("-1234.50"), Decimal(5000), NOON, None]


@pytest.mark.parametrize(
    ("variant", "file"),
    [
        (CsvVariant.STANDARD, "name\r\nZoë,7,-1234.50,5000,2027-07-01T12:00:00Z,\r\n"),
        (CsvVariant.EXCEL, "\ufeffname\r\nZoë;7;-1234,50;5000;2027-07-01 14:00:00;\r\n"),
        (CsvVariant.EXCEL_POINT, "\ufeffname\r\nZoë,7,-1234.50,5000,2027-07-01 14:00:00,\r\n"),
    ],
)
def test_numbers_and_times_have_the_form_that_the_reader_expects(variant: CsvVariant, file: str) -> None:
    assert start_csv(["name"], variant) + write_csv([ROW], variant) == file


def test_every_csv_file_is_written_here() -> None:
    """A second writer would have other rules."""
    source = Path(ticketing.__file__).parent
    writers = [
        path.name
        for path in source.rglob("*.py")
        if re.search(r"^\s*(import|from) csv\b", path.read_text(), re.MULTILINE)
    ]
    assert writers == ["spreadsheets.py"]
