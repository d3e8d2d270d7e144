"""The field types of bodies and their limits."""

import sys
import unicodedata
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from ticketing.infra.http import fields

GOOD: list[tuple[Any, object, object]] = [
    (fields.Name, "  Ada ", "Ada"),
    (fields.Name, "x" * 200, "x" * 200),
    (fields.Name, "José 🎫", "José 🎫"),
    (fields.LongText, "two\nlines", "two\nlines"),
    (fields.Slug, "a", "a"),
    (fields.Slug, "hall-2", "hall-2"),
    (fields.Email, "Ada@Example.COM", "Ada@example.com"),
    (fields.Email, "e\u0301@example.com", "é@example.com"),
    (fields.Email, "a" * 64 + "@example.com", "a" * 64 + "@example.com"),
    (fields.Email, "e\u0301" * 32 + "@example.com", "é" * 32 + "@example.com"),
    (fields.Name, "e\u0301" * 200, "é" * 200),
    (fields.Label, "Cafe\u0301-A-1", "Café-A-1"),
    (fields.LongText, "", ""),
    (fields.SearchText, "  Mu\u0308ller ", "Müller"),
    (fields.Currency, "EUR", "EUR"),
    (fields.Timezone, "Europe/Amsterdam", "Europe/Amsterdam"),
    (fields.Timestamp, "2027-05-01T21:30:00+02:00", datetime(2027, 5, 1, 19, 30, tzinfo=UTC)),
    (fields.Timestamp, "2027-05-01T19:30:00.25Z", datetime(2027, 5, 1, 19, 30, 0, 250_000, tzinfo=UTC)),
]
BAD: list[tuple[Any, object]] = [
    *((fields.Name, bad) for bad in ("", "  ", "x" * 201, "a\x00b", "a\nb", "\ud800", "a\x7fb", 7, None, ["a"])),
    *((fields.LongText, bad) for bad in ("x" * 10_001, "a\x00b", "\ud800", 7)),
    *((fields.Slug, bad) for bad in ("", "A", "-a", "a-", "a b", "ä", "a\n", "a" * 64)),
    *((fields.Email, bad) for bad in ("", "ada", "@example.com", "a@b", "a b@example.com", "ada@example.com\n\x00")),
    *((fields.Email, bad) for bad in ("a" * 250 + "@example.com", "a@" + "b" * 250 + ".com", "x" * 1_000_000)),
    # 64 octets before the @ and 254 in all, in UTF-8.
    *((fields.Email, bad) for bad in ("a" * 65 + "@example.com", "é" * 33 + "@example.com")),
    (fields.Email, "é" * 32 + "@" + ".".join(["b" * 60] * 3) + ".comx.de"),
    *((fields.Currency, bad) for bad in ("", "eur", "EURO", "ZZZ", "E\x00R", 978)),
    *((fields.Timezone, bad) for bad in ("", "Mars/Base", "../etc/passwd", "x" * 65)),
    *((fields.Timestamp, bad) for bad in ("2027-05-01", "2027-05-01T19:30:00", "tomorrow", "", None, True)),
    *((fields.Timestamp, bad) for bad in (1_800_000_000, 1e9, "1800000000", "1800000000.5", "2027-02-30T00:00:00Z")),
    *((fields.Timestamp, bad) for bad in ("1969-12-31T23:59:59Z", "2201-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00")),
]


LINES = (fields.Name, fields.ShortName, fields.Label)

#: Names as people have them, in scripts and emoji that need joiners, variation selectors and combining marks.
NAMES = (
    "Zoë", "José 🎫", "نمی‌خواهم", "क्‍ष", "👩‍👩‍👧", "❤️", "葛󠄀城", "O’Neill",  # noqa: RUF001
    "Nguyễn Văn A", "שלום", "مرحبا", "ภาษาไทย", "Ⅷ", "½", "…", "$",
)  # fmt: skip


@pytest.mark.parametrize("kind", LINES)
@pytest.mark.parametrize("name", NAMES)
def test_names_in_any_script_are_accepted(kind: Any, name: str) -> None:
    assert TypeAdapter(kind).validate_python(name) == name


@pytest.mark.parametrize("kind", [*LINES, fields.LongText])
def test_invisible_and_reordering_characters_are_refused(kind: Any) -> None:
    """All format characters of Unicode, except joiners, variation selectors and signs that are drawn."""
    drawn = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0x13430, 0x13440)}
    marks = {0x200E, 0x200F, 0x61C} if kind is fields.LongText else set()
    formats = {point for point in range(sys.maxunicode + 1) if unicodedata.category(chr(point)) in {"Cf", "Zl", "Zp"}}
    needed = {0x200C, 0x200D} | {*range(0xE0100, 0xE01F0)}
    hidden = (formats | {0x115F, 0x1160, 0x3164, 0xFFA0, 0x2800, 0x85, 0x9F}) - drawn - needed - marks
    assert {0x202E, 0x2066, 0x200B, 0xAD, 0xE0041} <= hidden
    adapter = TypeAdapter(kind)
    accepted = [hex(point) for point in hidden if _accepts(adapter, f"Ada{chr(point)}Byron")]
    assert accepted == []


def _accepts(adapter: TypeAdapter[Any], text: str) -> bool:
    try:
        adapter.validate_python(text)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("kind", LINES)
@pytest.mark.parametrize("name", ["‍", "‌‍", "️", "́", " ", "󠄁"])  # noqa: RUF001
def test_a_name_has_a_visible_character(kind: Any, name: str) -> None:
    assert not _accepts(TypeAdapter(kind), name)


@pytest.mark.parametrize("kind", [fields.LongText, fields.SearchText])
def test_a_text_is_empty_or_visible(kind: Any) -> None:
    assert TypeAdapter(kind).validate_python(" \u2003 ") == ""
    assert [
        hidden for hidden in ("\u200d", "\u0301", "\ufe0f", "\u3164", "\u200b") if _accepts(TypeAdapter(kind), hidden)
    ] == []


@pytest.mark.parametrize(("kind", "value", "read"), GOOD, ids=lambda part: repr(part)[:30])
def test_a_valid_value_is_parsed(kind: Any, value: object, read: object) -> None:
    assert TypeAdapter(kind).validate_python(value) == read


@pytest.mark.parametrize(("kind", "value"), BAD, ids=lambda part: repr(part)[:30])
def test_an_invalid_value_is_refused(kind: Any, value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value)


def test_a_timestamp_is_serialized_in_utc_with_a_z() -> None:
    moment = datetime.fromisoformat("2027-05-01T21:30:00+02:00")
    assert fields.rfc3339(moment) == "2027-05-01T19:30:00Z"
