"""The accuracy of the load generator: its spare capacity, and its agreement with wrk."""

import re
import statistics
import subprocess
from pathlib import Path

from benchmarks.generator.generator import need
from benchmarks.result import Result
from benchmarks.rounds import SECONDS, no_op_round, ratio_of, report, show_for_round
from benchmarks.testbed.workload import NO_OP, Workload

CONNECTIONS = 64
REQUESTS = 5000

#: One thread, which sends the requests of a file in a loop.
SCRIPT = """
local requests, at = {}, 0
local file = assert(io.open(%s, "rb"))
for request in (file:read("*a")):gmatch("[^%%z]+") do requests[#requests + 1] = request end
file:close()
function request() at = at %% #requests + 1 return requests[at] end
"""


def run(workload: Workload) -> list[Result]:
    """The no-op with the load generator and with wrk, alternately. Raises Missing."""
    wrk, show = need("wrk", "wrk"), show_for_round(workload)
    shares: list[float] = []

    def own() -> float:
        load = no_op_round(workload, CONNECTIONS, show)
        shares.append(load.cores)
        return load.rate

    ratio = ratio_of(own, lambda: _wrk(workload, wrk))
    return [
        Result(
            "generator_headroom",
            1 / statistics.median(shares),
            3,
            "cores divided by the share of a core that the generator needs for the no-op's load: its spare capacity",
            at_most=False,
        ),
        Result("generator_to_wrk", ratio, 0.9, "no-op responses per second, relative to wrk", at_most=False),
    ]


def _wrk(workload: Workload, program: str) -> float:
    testbed, show = workload.testbed, workload.show(REQUESTS)
    requests, script = testbed.folder / "wrk.requests", testbed.folder / "wrk.lua"
    requests.write_bytes(b"\0".join(step for (step,) in workload.requests(show, NO_OP)))
    script.write_text(SCRIPT % f'"{requests}"')
    return _rate(program, script, testbed.url)


def _rate(program: str, script: Path, url: str) -> float:
    command = [program, "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(SECONDS))}s", "-s", str(script), url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    if found is None or "Non-2xx" in done.stdout:
        raise SystemExit(f"wrk: {done.stdout}")
    report(f"no-ops x {CONNECTIONS} by wrk", float(found[1]))
    return float(found[1])
