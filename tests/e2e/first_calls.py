"""`python -m tests.e2e.first_calls`: first calls by two threads at once, in new processes.

Libraries load parts of themselves on first use. Whatever the platform calls in threads must be safe when its very first
two calls run at the same time. The program imports what `ticketing serve` imports, and forks a few processes for each
function; each prints the errors of its two calls.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID

import orjson

from tests.modules.venues.plans import plan
from ticketing.infra import security
from ticketing.infra.formats.calendar_file import Revision
from ticketing.main import create_app
from ticketing.modules.events.inventory.seat_rows import PlanRow, SeatRows
from ticketing.modules.tickets.checkin.offline import _verify_all
from ticketing.modules.tickets.codes import CodeClaims, Keyring
from ticketing.modules.tickets.documents import calendar
from ticketing.modules.tickets.documents.drawings import Drawings
from ticketing.modules.tickets.documents.passes import Pass, Place
from ticketing.modules.venues.pretix import reader
from ticketing.modules.webhooks.delivery import ssrf_guard

ROUNDS = 6
#: For functions that import a library first, which takes most of a second.
SLOW, SLOW_ROUNDS = {"draw a PDF", "write a calendar"}, 2
#: So that threads interleave almost everywhere. Python's default is 5 ms.
SWITCH_SECONDS = 1e-6

CODES = Keyring([b"k" * 32])
CODE = CODES.sign(CodeClaims(UUID(int=7), UUID(int=9), 1))
PASS = Pass(
    ticket_id=UUID(int=7),
    organization="Stadsschouwburg",
    title="山田太郎 & ქართული, مرحبا",
    starts_at=datetime(2030, 6, 1, 19, tzinfo=UTC),
    ends_at=datetime(2030, 6, 1, 21, 30, tzinfo=UTC),
    timezone="Europe/Amsterdam",
    venue="Hall",
    city="Utrecht",
    place=Place("Stalls", "A", "12"),
    kind="Seat",
    holder="สมชาย",
    price_minor=4500,
    currency="EUR",
    reference="7F3K-9QXM",
    code=CODE,
    revision=Revision(0, datetime(2030, 1, 1, tzinfo=UTC)),
)
PLAN = orjson.dumps(plan())
HASH = "$argon2id$v=19$m=64,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43


async def _is_wanted() -> bool:
    return True


#: Called twice in one event loop, as by two requests.
ASYNC_FUNCTIONS: dict[str, Callable[[], Awaitable[object]]] = {
    "log in": lambda: security.verify_password("wrong password", HASH),
    "log in as an unknown user": lambda: security.verify_password("wrong password", None),
    "register": lambda: security.hash_password("a new password"),
    "draw a PDF": lambda: Drawings().draw([PASS], "ada", _is_wanted),
}
#: Called in two threads.
FUNCTIONS: dict[str, Callable[[], object]] = {
    "write a calendar": lambda: calendar.as_calendar([PASS], "https://example.com", "post@example.com"),
    "verify codes": lambda: _verify_all(CODES, [CODE]),
    "import a plan": lambda: reader.read_plan(PLAN),
    "build the rows of a plan": lambda: SeatRows([PlanRow(0, "Stalls", ["A 1"], ["a"], [None], [None], [0])]),
    "resolve a name": lambda: ssrf_guard._getaddrinfo("localhost", 443),
}


async def errors_of_async(function: Callable[[], Awaitable[object]]) -> list[str]:
    """Call the function twice at the same moment; the errors."""
    outcomes = await asyncio.gather(function(), function(), return_exceptions=True)
    return [repr(outcome) for outcome in outcomes if isinstance(outcome, BaseException)]


def errors_of(function: Callable[[], object]) -> list[str]:
    """Call the function in two threads at the same moment; the errors."""
    barrier, errors = threading.Barrier(2), list[str]()

    def call() -> None:
        barrier.wait()
        try:
            function()
        except Exception as error:
            errors.append(repr(error))

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def main() -> None:
    create_app()
    for name in (*ASYNC_FUNCTIONS, *FUNCTIONS):
        for _ in range(SLOW_ROUNDS if name in SLOW else ROUNDS):
            if pid := os.fork():
                os.waitpid(pid, 0)
                continue
            sys.setswitchinterval(SWITCH_SECONDS)
            is_async = name in ASYNC_FUNCTIONS
            errors = asyncio.run(errors_of_async(ASYNC_FUNCTIONS[name])) if is_async else errors_of(FUNCTIONS[name])
            for error in errors:
                sys.stdout.write(f"{name}: {error}\n")
            sys.stdout.flush()
            os._exit(0)
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main()
