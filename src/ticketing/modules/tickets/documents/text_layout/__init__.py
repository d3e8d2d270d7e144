"""Text of any script on a PDF page: fonts, shaping, writing direction and line breaks.

Every length is in em, so that a text is laid out once and drawn at any size.
"""

from ticketing.modules.tickets.documents.text_layout.canvas import Canvas
from ticketing.modules.tickets.documents.text_layout.fonts import can_draw
from ticketing.modules.tickets.documents.text_layout.lines import Line
from ticketing.modules.tickets.documents.text_layout.paragraphs import fit, wrap

__all__ = ["Canvas", "Line", "can_draw", "fit", "wrap"]
