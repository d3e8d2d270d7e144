"""Losing: what it costs to be told that a seat is gone, beside what it costs to get one."""

from collections.abc import Iterator

from benchmarks import proof
from benchmarks.crowd import HOLD, Crowd, Show
from benchmarks.result import Result
from benchmarks.rounds import SECONDS, by_turns, hold_round, tell

CONNECTIONS = 64
BLOCK = 2000
#: More than anybody loses in a second.
LOSERS_PER_SECOND = 20_000


def run(crowd: Crowd) -> list[Result]:
    """Sell out a block, then ask for its seats again and again, by turns with holds that win."""
    block = crowd.show(BLOCK)
    winners = crowd.stage.generator.run(crowd.requests(block), CONNECTIONS).expect(201)

    def lose() -> float:
        load = crowd.stage.generator.run(_late(crowd, block), CONNECTIONS, seconds=SECONDS).expect(409)
        tell(f"losers x {CONNECTIONS}", load.rate)
        return load.rate

    ratio = by_turns(lose, lambda: hold_round(crowd, CONNECTIONS).rate)
    proof.is_right(crowd, block, winners)
    proof.keeps_invariants(crowd)
    meaning = f"answers of 409 a second on a sold-out block of {BLOCK}, in times of the holds a second"
    return [Result("losers_to_holds", ratio, 1.5, meaning, at_most=False)]


def _late(crowd: Crowd, block: Show) -> Iterator[tuple[bytes]]:
    labels = block.labels
    for number in range(int(SECONDS * LOSERS_PER_SECOND)):
        body = {"event_id": str(block.id), "seats": [crowd.random.choice(labels)]}
        yield (crowd.request(number, HOLD, body),)
