"""The number of fuzz tests: few with every `make test`, all with `make fuzz`. Deterministic by seed."""

import os
from dataclasses import dataclass

SEED = 20_261_121


@dataclass(frozen=True)
class Size:
    """Numbers of tests."""

    #: Calls per route, and the minimum of all calls. The generator may use less than its budget.
    examples_per_route: int
    scenarios: int
    calls_min: int
    webhooks: int
    codes: int
    keys: int
    messages: int
    #: Mutants of each kind that are sent over HTTP.
    over_http: int


FULL = Size(
    examples_per_route=100,
    scenarios=300,
    calls_min=10_000,
    webhooks=100_000,
    codes=100_000,
    keys=10_000,
    messages=10_000,
    over_http=40,
)
SHORT = Size(
    examples_per_route=4, scenarios=6, calls_min=300, webhooks=2_000, codes=2_000, keys=200, messages=40, over_http=2
)
SIZE = FULL if os.environ.get("FUZZ") == "full" else SHORT

#: The numbers of finished tests, for the summary of a run.
TRIED: dict[str, int] = {}


def count(what: str, number: int = 1) -> None:
    TRIED[what] = TRIED.get(what, 0) + number
