"""A ticket's code as a QR code: runs of dark modules for the PDF, or an SVG for pages."""

import io

import segno

#: Width in modules of the light border around the code (ISO/IEC 18004).
QUIET_ZONE = 4


def _make(code: str) -> segno.QRCode:
    # Level M (15 %): a code on a folded sheet or a scratched screen can still be scanned, at 45 x 45 modules. A higher
    # level needs smaller modules, which costs scanners more than the error correction gains.
    return segno.make_qr(code, error="m", boost_error=False)


def dark_runs(code: str) -> tuple[int, list[tuple[int, int, int]]]:
    """Return the size in modules without quiet zone, and the runs of dark modules as (x, y, length)."""
    runs: list[tuple[int, int, int]] = []
    matrix = _make(code).matrix
    for y, row in enumerate(matrix):
        start: int | None = None
        for x, is_dark in enumerate([*row, 0]):
            if is_dark and start is None:
                start = x
            elif not is_dark and start is not None:
                runs.append((start, y, x - start))
                start = None
    return len(matrix), runs


def as_svg(code: str) -> bytes:
    """Draw the code as a scalable SVG. It is black on white even on dark pages, because scanners require it."""
    out = io.BytesIO()
    _make(code).save(
        out,
        kind="svg",
        border=QUIET_ZONE,
        dark="#000",
        light="#fff",
        omitsize=True,
        xmldecl=False,
        svgclass=None,
        lineclass=None,
        title="QR code of a ticket",
    )
    return out.getvalue()
