"""Text of any script on a ticket: fonts, shaping, writing direction, line breaks, and characters without a glyph."""

import math
import unicodedata

import pytest
import uharfbuzz as hb

from ticketing.infra.formats.directions import isolate
from ticketing.modules.tickets.documents.text_layout import Line, can_draw, fit, wrap
from ticketing.modules.tickets.documents.text_layout.fonts import ALL, REGULAR

#: A name in each script, with the font that draws it.
NAMES = {
    "Łukasz Żółć Ñandú Đặng": "NotoSans-Regular",
    "Δημήτρης Παπαδόπουλος": "NotoSans-Regular",
    "Дмитрий Ёлкин": "NotoSans-Regular",
    "محمد بن عبد الله": "NotoSansArabic-Regular",
    "שלום בן־ארי": "NotoSansHebrew-Regular",
    "प्रिया शर्मा": "NotoSansDevanagari-Regular",
    "প্রিয়াঙ্কা চট্টোপাধ্যায়": "NotoSansBengali-Regular",
    "ਗੁਰਪ੍ਰੀਤ ਸਿੰਘ": "NotoSansGurmukhi-Regular",
    "પ્રિયા પટેલ": "NotoSansGujarati-Regular",
    "ପ୍ରିୟା ଦାସ": "NotoSansOriya-Regular",
    "பிரியா ஸ்ரீ": "NotoSansTamil-Regular",
    "ప్రియా రెడ్డి": "NotoSansTelugu-Regular",
    "ಪ್ರಿಯಾ ಗೌಡ": "NotoSansKannada-Regular",
    "പ്രിയ മേനോൻ": "NotoSansMalayalam-Regular",
    "ප්‍රියා සිල්වා": "NotoSansSinhala-Regular",
    "สมชาย ใจดี น้ำ": "NotoSansThai-Regular",
    "ສົມຊາຍ": "NotoSansLao-Regular",
    "မောင်မောင် သန်း": "NotoSansMyanmar-Regular",
    "សុខ ខ្មែរ": "NotoSansKhmer-Regular",
    "བསྟན་འཛིན་": "NotoSerifTibetan-Regular",
    "გიორგი მაისურაძე": "NotoSansGeorgian-Regular",
    "Արամ Խաչատրյան": "NotoSansArmenian-Regular",
    "አበበ ቢቂላ": "NotoSansEthiopic-Regular",
    "ᏣᎳᎩ": "NotoSansCherokee-Regular",
    "ⵜⵉⴼⵉⵏⴰⵖ": "NotoSansTifinagh-Regular",
    "ߒߞߏ": "NotoSansNKo-Regular",
    "山田太郎 김철수 ヤマダ": "DroidSansFallback",
}
ARABIC_TITLE = "أمسية موسيقية مع فيروز: ليلة لا تُنسى (Live 2027)"


def glyph_ids(line: Line, font: str) -> list[int]:
    blanks = {each.shaper.get_nominal_glyph(32) for each in ALL if each.name == font}
    found = [g.id for s in line.segments if s.font and s.font.name == font for g in s.glyphs]
    return [each for each in found if each not in blanks]


def seen(line: Line) -> str:
    """The characters in the order of their glyphs, from left to right."""
    return "".join(glyph.text for segment in line.segments for glyph in segment.glyphs)


def font_named(name: str) -> hb.Font:
    return next(font.shaper for font in ALL if font.name == name)


@pytest.mark.parametrize(("name", "file"), NAMES.items())
def test_each_script_is_shaped_with_its_font(name: str, file: str) -> None:
    font = file.lower()
    line = fit(name, math.inf)
    assert {s.font.name if s.font else None for s in line.segments} <= {font, REGULAR.name}
    expected: list[int] = []
    words = unicodedata.normalize("NFC", name).split()
    for word in words[::-1] if line.is_rtl else words:
        buffer = hb.Buffer()
        buffer.add_str(word)
        buffer.guess_segment_properties()
        buffer.language = "und"
        hb.shape(font_named(font), buffer)
        expected += [info.codepoint for info in buffer.glyph_infos]
    assert 0 not in expected, "the font lacks a glyph"
    assert glyph_ids(line, font) == expected


def test_no_font_has_a_blank_glyph_for_a_letter() -> None:
    """Such a font would be chosen, and the letter would vanish."""
    for font in ALL:
        for code in font.shaper.face.unicodes:
            if unicodedata.category(chr(code))[0] in "LN" and code not in (0x115F, 0x1160, 0x3164, 0xFFA0):
                extents = font.shaper.get_glyph_extents(font.shaper.get_nominal_glyph(code))
                assert extents.width, f"U+{code:04X} in {font.name}"


@pytest.mark.parametrize("text", ["שלום (Live 2027)", "محمد (Live 2027)"])
def test_brackets_are_mirrored_in_right_to_left_text(text: str) -> None:
    line = fit(text, math.inf)
    drawn = "".join(
        "(" if g.id == s.font.shaper.get_nominal_glyph(ord("(")) else g.text
        for s in line.segments
        if s.font
        for g in s.glyphs
    )
    word = text.split()[0]
    assert drawn.startswith("(Live 2027")
    assert seen(line) == ")Live 2027( " + word[::-1]


def test_a_right_to_left_text_is_broken_in_reading_order() -> None:
    lines = wrap(ARABIC_TITLE, 15, 3)
    assert [line.text for line in lines] == ["أمسية موسيقية مع فيروز: ليلة لا", "تُنسى (Live 2027)"]
    assert all(line.is_rtl for line in lines)
    assert seen(lines[1]).startswith(")Live 2027( ")


def test_the_latin_end_of_an_arabic_text_keeps_its_direction_on_a_line_of_its_own() -> None:
    [_, last] = wrap("مع فيروز (Live 2027)!", 5.5, 2)
    assert last.text == "(Live 2027)!"
    assert last.is_rtl
    assert seen(last) == "!)Live 2027("


def test_a_latin_text_is_broken_between_words_with_arabic_in_it() -> None:
    lines = wrap("The Strand Theatre presents فيروز and friends", 14, 3)
    assert " ".join(line.text for line in lines) == "The Strand Theatre presents فيروز and friends"
    assert lines[0].text == "The Strand Theatre presents"


@pytest.mark.parametrize(
    "text", [*NAMES, ARABIC_TITLE, "W" * 300, "प्रिया" * 50, "👩‍👩‍👧‍👦" * 40, "שלום " * 60, "𓀀" * 300]
)
def test_lines_fit_and_lose_nothing_but_the_end(text: str) -> None:
    room = 9.0
    lines = wrap(text, room, 3)
    assert all(line.width <= room + 0.001 for line in lines)
    whole = "".join("".join(line.text for line in lines).split())
    original = "".join(unicodedata.normalize("NFC", text).split())
    assert whole == original or (whole.endswith("…") and original.startswith(whole[:-1]))
    starts = [unicodedata.category(line.text[0])[0] for line in lines]
    assert "M" not in starts, "a mark has lost its letter"


@pytest.mark.parametrize(
    "text",
    [
        *("𓀀", "\ue000", "\uef00", "\U000e0fff", "\x07", "\ud800", "\u0378", "\U0010fffd"),
        *("\u200b\u200d", "\u3164", "\u2800", "\u2066\u2069", "\ufe0f", "\u00ad"),
    ],
)
def test_what_no_font_can_draw_is_a_box(text: str) -> None:
    line = fit(text, math.inf)
    assert [segment.font for segment in line.segments] == [None]
    assert line.segments[0].text == text
    assert line.width > 0.5 * len(text)


def test_a_mark_that_no_font_has_beside_its_letter_is_drawn_on_its_own() -> None:
    line = fit("a\U00011c3e", math.inf)
    assert [(s.font is None, s.text) for s in line.segments] == [(False, "a"), (True, "\U00011c3e")]


@pytest.mark.parametrize("text", ["👩‍👩‍👧‍👦", "🇳🇱", "❤️", "1️⃣", "👍🏽", "क्‍ष", "می‌خواهم", "Ma\u030br\u0303i\u0301\u0327ŋ"])
def test_joined_characters_keep_one_font(text: str) -> None:
    [segment] = fit(text, math.inf).segments
    assert segment.font is not None
    assert 0 not in [glyph.id for glyph in segment.glyphs]


def test_emoji_sequences_are_one_glyph() -> None:
    glyphs = [glyph for segment in fit("👩‍👩‍👧‍👦🇳🇱", math.inf).segments for glyph in segment.glyphs if glyph.advance]
    assert len(glyphs) == 2


def test_an_isolated_part_does_not_reorder_the_rest() -> None:
    assert isolate("Hall") == "Hall"
    hall = "אולם 12"
    assert isolate(hall) == f"\u2068{hall}\u2069"
    line = fit(f"{isolate('הבית 7')}, Utrecht", math.inf)
    assert not line.is_rtl
    assert seen(line).replace("\u2068", "").replace("\u2069", "") == "7 תיבה, Utrecht"


def test_can_draw_says_whether_a_font_has_every_character() -> None:
    assert can_draw("€ 45 प्रिया 山")
    assert not can_draw("45 \ue000")
