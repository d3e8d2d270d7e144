"""How much is tried: a little with every `make test`, and all of it with `make fuzz`. Always the same, for a seed."""

import os
from dataclasses import dataclass

SEED = 20_261_121


@dataclass(frozen=True)
class Size:
    """Numbers of tries."""

    #: Calls of the whole API, and how many of them at least; the rest of a budget that was not used is no call.
    examples_per_route: int
    scenarios: int
    calls_min: int
    webhooks: int
    codes: int
    keys: int
    #: Of each kind of mutant, so many go over HTTP.
    over_http: int


FULL = Size(
    examples_per_route=100,
    scenarios=300,
    calls_min=10_000,
    webhooks=100_000,
    codes=100_000,
    keys=10_000,
    over_http=40,
)
SHORT = Size(examples_per_route=4, scenarios=6, calls_min=300, webhooks=2_000, codes=2_000, keys=200, over_http=2)
SIZE = FULL if os.environ.get("FUZZ") == "full" else SHORT

#: What was tried, for the last lines of a run.
TRIED: dict[str, int] = {}


def count(what: str, number: int = 1) -> None:
    TRIED[what] = TRIED.get(what, 0) + number
