"""The layout of emails as plain text and as HTML. The HTML loads no external resources."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import urlsplit

from ticketing.modules.notifications import texts

_BODY = "margin:0;padding:24px;background:#ffffff;color:#171b21;font:16px/1.5 system-ui,sans-serif"
_BUTTON = "display:inline-block;padding:12px 20px;border-radius:8px;background:#1c567c;color:#ffffff;font-weight:600"
_MUTED = "color:#5c6570;font-size:14px"


@dataclass(frozen=True, slots=True)
class Page:
    """The content of an email. `rows` are labels with values; `link` is the target of the button."""

    paragraphs: Sequence[str]
    button: str
    link: str
    rows: Sequence[tuple[str, str]] = ()
    after_rows: Sequence[str] = ()

    @property
    def footer(self) -> str:
        return texts.FOOTER.format(place=urlsplit(self.link).netloc)


def as_text(page: Page) -> str:
    """Render the plain text part."""
    width = max((len(label) for label, _ in page.rows), default=0) + 2
    rows = (
        ["\n".join(f"{f'{label}:' if label else '':<{width}}{value}" for label, value in page.rows)]
        if page.rows
        else []
    )
    parts = [texts.GREETING, *page.paragraphs, *rows, *page.after_rows, page.link, f"-- \n{page.footer}"]
    return "\n\n".join(parts) + "\n"


def as_html(page: Page) -> str:
    """Render the HTML part. All values are escaped."""
    link = escape(page.link, quote=True)
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8"></head>',
            f'<body style="{_BODY}"><div style="max-width:560px">',
            *_paragraphs([texts.GREETING, *page.paragraphs]),
            *_table(page.rows),
            *_paragraphs(page.after_rows),
            f'<p><a href="{link}" style="{_BUTTON};text-decoration:none">{escape(page.button)}</a></p>',
            f'<p style="{_MUTED}">{escape(texts.COPY_LINK)}<br>',
            f'<a href="{link}" style="color:#1c567c;word-break:break-all">{link}</a></p>',
            f'<p style="{_MUTED}">{escape(page.footer)}</p>',
            "</div></body></html>",
        ]
    )


def _paragraphs(paragraphs: Sequence[str]) -> list[str]:
    return [f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs]


def _table(rows: Sequence[tuple[str, str]]) -> list[str]:
    if not rows:
        return []
    lines = [
        f'<tr><th style="text-align:left;padding:4px 16px 4px 0;{_MUTED}">{escape(label)}</th>'
        f'<td dir="auto" style="padding:4px 0">{escape(value)}</td></tr>'
        for label, value in rows
    ]
    return ["<table>", *lines, "</table>"]
