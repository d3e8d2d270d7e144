"""A ticket's code as a QR code: dark modules to draw, or an SVG to show."""

import io

import segno

#: Modules that must stay light around the code (ISO/IEC 18004).
QUIET_ZONE = 4


def _make(code: str) -> segno.QRCode:
    # Level M (15 %): a code on a folded sheet or a scratched screen still reads, at 45 x 45 modules. A higher level
    # would shrink the modules, which costs scanners more than it gives.
    return segno.make_qr(code, error="m", boost_error=False)


def dark_runs(code: str) -> tuple[int, list[tuple[int, int, int]]]:
    """The size in modules, without quiet zone, and each row's dark runs as (x, y, length)."""
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
    """A drawing that scales to whatever room it is given. Black on white also where a page is dark: scanners insist."""
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
