"""Tickets as pictures: what is on the page in each script, beyond what the file says is there."""

import math
import unicodedata
from collections.abc import Iterator
from dataclasses import replace

import pypdfium2
import pytest
from PIL import Image

from tests.modules.tickets.test_pdf import SEAT
from tests.modules.tickets.test_text_layout import ARABIC_TITLE, NAMES
from ticketing.modules.tickets.documents import pdf
from ticketing.modules.tickets.documents.passes import Pass, Place
from ticketing.modules.tickets.documents.text_layout import fit

#: Pixels per millimetre.
SCALE = 6
#: Millimetres from the top of the page to the holder of a ticket with a title of one line, and its height.
HOLDER_TOP, HOLDER_HEIGHT = 80.0, 9.0


def pictures(passes: list[Pass]) -> Iterator[tuple[Image.Image, str]]:
    document = pypdfium2.PdfDocument(pdf.draw(passes))
    for number in range(len(passes)):
        page = document[number]
        picture = page.render(scale=SCALE * 25.4 / 72, grayscale=True).to_pil()
        yield picture, page.get_textpage().get_text_range()
        page.close()
    document.close()


def ink(picture: Image.Image, left: float, top: float, right: float, bottom: float) -> tuple[float, float, int]:
    """The left and right edge of what is dark in an area in mm, and the number of dark pixels."""
    area = picture.crop((round(left * SCALE), round(top * SCALE), round(right * SCALE), round(bottom * SCALE)))
    dark = area.point(lambda value: 255 if value < 160 else 0)
    box = dark.getbbox() or (0, 0, 0, 0)
    return left + box[0] / SCALE, left + box[2] / SCALE, dark.histogram()[255]


@pytest.fixture(scope="module")
def drawn() -> dict[str, tuple[Image.Image, str]]:
    """A ticket for each holder, drawn once."""
    names = [*NAMES, "\ue000\ue001", "Ada \U00012000", "👩‍👩‍👧‍👦 🇳🇱"]
    passes = [replace(SEAT, holder=name, place=Place("A", "1", "2"), ends_at=None) for name in names]
    return dict(zip(names, pictures(passes), strict=True))


def holder_of(picture: Image.Image) -> tuple[float, float, int]:
    return ink(picture, pdf.MARGIN - 1, HOLDER_TOP, pdf.MARGIN + pdf.ROOM / 2 - 1, HOLDER_TOP + HOLDER_HEIGHT)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_each_script_is_on_the_ticket_at_its_full_width(
    name: str, drawn: dict[str, tuple[Image.Image, str]]
) -> None:
    picture, text = drawn[name]
    left, right, count = holder_of(picture)
    width = fit(name, math.inf, is_bold=True).width * pdf.em(11)
    assert left == pytest.approx(pdf.MARGIN, abs=0.8)
    assert right - left == pytest.approx(width, abs=1.6)
    assert count > 20 * len(name)
    extracted, wanted = (sorted(unicodedata.normalize("NFC", each).replace("\u200b", "")) for each in (text, name))
    assert all(extracted.count(character) >= wanted.count(character) for character in wanted)


def test_characters_without_a_glyph_are_visible(drawn: dict[str, tuple[Image.Image, str]]) -> None:
    for name in ("\ue000\ue001", "Ada \U00012000", "👩‍👩‍👧‍👦 🇳🇱"):
        left, right, count = holder_of(drawn[name][0])
        assert right - left > 6
        assert count > 120


def test_names_look_different(drawn: dict[str, tuple[Image.Image, str]]) -> None:
    """Boxes for missing glyphs would look the same."""
    area = tuple(round(each * SCALE) for each in (pdf.MARGIN, HOLDER_TOP, pdf.MARGIN + 50, HOLDER_TOP + HOLDER_HEIGHT))
    looks = {picture.crop(area).tobytes() for picture, _ in drawn.values()}
    assert len(looks) == len(drawn)


def test_a_wrapped_right_to_left_title_begins_at_the_right_margin() -> None:
    [(picture, text)] = pictures([replace(SEAT, title=ARABIC_TITLE)])
    for top in (19.0, 29.0):
        _, right, count = ink(picture, 4, top, pdf.PAGE[0] - 4, top + 8)
        assert right == pytest.approx(pdf.PAGE[0] - pdf.MARGIN, abs=1)
        assert count > 500
    assert "أمسية موسيقية مع فيروز" in text
    assert "Live 2027" in text
