"""What a fault is, and how those are named that `python -m tests.chaos` knows."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tests.chaos.load.buyers import Load
    from tests.chaos.platform import Ground

#: Where it happens: a platform with servers of its own; one with wires and Kafka between its parts; one whose Postgres
#: has a small disk.
Kind = Literal["own", "wired", "small"]
Act = Callable[["Ground"], Awaitable[None]]


async def nothing(ground: "Ground") -> None:
    """A killed part comes back by itself."""


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong, and what ends it."""

    name: str
    group: str
    inflict: Act
    heal: Act = nothing
    #: How long it lasts, in the long form and in the short one.
    seconds: float = 0.0
    short_seconds: float = 0.0
    kind: Kind = "own"
    #: Done under load while it lasts, and looked at afterwards; what was wrong.
    act: "Callable[[Ground, Load], Awaitable[list[str]]] | None" = None
    #: While it lasts nobody needs to be served; recovery counts from its end.
    is_outage: bool = False
    #: Somebody else takes over; it ends only when that has been seen.
    is_taken_over: bool = False
    #: What has to stand ready for it; its time is nobody's recovery.
    prepare: Act = nothing
