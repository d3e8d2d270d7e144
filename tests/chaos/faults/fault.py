"""The definition of a fault."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tests.chaos.load.buyers import Load
    from tests.chaos.platform import Platform

#: The environment: "own" has embedded servers, "wired" has external servers and Kafka behind proxies, and "small" has
#: a small disk under the embedded Postgres.
Kind = Literal["own", "wired", "small"]
Act = Callable[["Platform"], Awaitable[None]]


async def nothing(platform: "Platform") -> None:
    """The supervisor restarts a killed process."""


@dataclass(frozen=True)
class Fault:
    """How to inject a failure, and how to end it."""

    name: str
    group: str
    inflict: Act
    heal: Act = nothing
    #: Duration in the long form and in the short form.
    seconds: float = 0.0
    short_seconds: float = 0.0
    kind: Kind = "own"
    #: Runs under load while the fault lasts; returns violations.
    act: "Callable[[Platform, Load], Awaitable[list[str]]] | None" = None
    #: Requests may fail while it lasts; recovery is measured from its end.
    is_outage: bool = False
    #: Another process must take over; the fault ends after that has been observed.
    is_taken_over: bool = False
    #: Preparation, which does not count as recovery time.
    prepare: Act = nothing
