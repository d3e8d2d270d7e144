"""Draws PDFs in threads, in turns between people, and keeps them for repeated downloads."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from ticketing.infra.system.fair_threads import FairThreads
from ticketing.modules.tickets.documents.passes import Pass

if TYPE_CHECKING:
    from ticketing.modules.tickets.documents.pdf import Drawing

KEPT_SECONDS = 300.0
KEPT_BYTES_MAX = 32 * 1024 * 1024

#: Says whether the client still waits for the document.
IsWanted = Callable[[], Awaitable[bool]]

Passes = tuple[Pass, ...]


class Drawings:
    """The threads of this process, and the documents drawn last."""

    def __init__(self) -> None:
        # A person has at most four documents in progress. Each turn draws a few pages, so that an order of a thousand
        # tickets does not delay a single ticket.
        self._threads = FairThreads("pdf", 2, waiting_max=50, waiting_of_source_max=4)
        #: Documents with the time until which they are kept; the oldest comes first.
        self._kept: OrderedDict[Passes, tuple[float, bytes]] = OrderedDict()

    async def draw(self, passes: Sequence[Pass], source: str, is_wanted: IsWanted) -> bytes:
        """Draw one page per pass. `source` names the person.

        Raises:
            Overloaded: too much is waiting already.
            ClientDisconnect: `is_wanted` returned False.
        """
        key = tuple(passes)
        self._drop_old()
        if key in self._kept:
            return self._kept[key][1]
        with closing(await self._threads.run(source, lambda: _begin(key))) as drawing:
            while await self._threads.run(source, drawing.step):
                if not await is_wanted():
                    raise ClientDisconnect
            content = await self._threads.run(source, drawing.finish)
        self._kept[key] = time.monotonic() + KEPT_SECONDS, content
        self._drop_old()
        return content

    def _drop_old(self) -> None:
        now, size = time.monotonic(), sum(len(content) for _, content in self._kept.values())
        for key, (until, content) in list(self._kept.items()):
            if until >= now and size <= KEPT_BYTES_MAX:
                return
            del self._kept[key]
            size -= len(content)


def _begin(passes: Passes) -> "Drawing":
    # Imported on first use: fpdf2 takes most of a second to import, which would delay the start of API and workers.
    from ticketing.modules.tickets.documents import pdf

    return pdf.Drawing(passes)
