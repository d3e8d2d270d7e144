"""Holds in a database without statistics, relative to one that was analyzed: the first minutes of the first on-sale."""

from benchmarks.generator.generator import Load
from benchmarks.result import Result
from benchmarks.rounds import SECONDS, ratio_of, report, show_for_round
from benchmarks.testbed import verification
from benchmarks.testbed.workload import Workload

CONNECTIONS = 64
#: A limit per buyer, which counts what each has bought before. No buyer reaches it.
MAX_PER_BUYER = 1000

_FORGET = """
delete from pg_statistic where starelid in (select oid from pg_class where relnamespace = 'public'::regnamespace);
update pg_class set reltuples = -1 where relnamespace = 'public'::regnamespace and relkind in ('r', 'i');
select stabilize_plans();
"""


def run(workload: Workload) -> list[Result]:
    """Holds of an event with a purchase limit, alternately without statistics and right after ANALYZE."""
    ratio = ratio_of(lambda: _hold(workload, _FORGET, "without"), lambda: _hold(workload, "analyze", "with"))
    verification.check_invariants(workload)
    meaning = "holds per second, with a purchase limit, of a database without statistics, relative to an analyzed one"
    return [Result("fresh_to_analyzed", ratio, 0.9, meaning, at_most=False)]


def _hold(workload: Workload, statistics: str, what: str) -> float:
    show = show_for_round(workload)
    workload.database.execute("update events set max_per_buyer = %s where id = %s", [MAX_PER_BUYER, show.id])
    workload.database.execute(statistics.encode())
    load: Load = workload.testbed.generator.run(workload.requests(show), CONNECTIONS, seconds=SECONDS).expect(201)
    verification.check_holds(workload, show, load)
    report(f"holds {what} statistics x {CONNECTIONS}", load.rate)
    return load.rate
