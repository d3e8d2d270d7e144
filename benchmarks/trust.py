"""Whether the load generator can be believed: how much it could send, and whether wrk sees the same."""

import re
import statistics
import subprocess
from pathlib import Path

from benchmarks.crowd import NO_OP, Crowd
from benchmarks.generator import need
from benchmarks.result import Result
from benchmarks.rounds import SECONDS, by_turns, fresh_show, no_op_round, tell

CONNECTIONS = 64
REQUESTS = 5000

#: One thread, which takes a request after the other from a file, and begins again at its end.
SCRIPT = """
local requests, at = {}, 0
local file = assert(io.open(%s, "rb"))
for request in (file:read("*a")):gmatch("[^%%z]+") do requests[#requests + 1] = request end
file:close()
function request() at = at %% #requests + 1 return requests[at] end
"""


def run(crowd: Crowd) -> list[Result]:
    """The no-op by our generator and by wrk, by turns. Raises Missing."""
    wrk, show = need("wrk", "wrk"), fresh_show(crowd)
    shares: list[float] = []

    def ours() -> float:
        load = no_op_round(crowd, CONNECTIONS, show)
        shares.append(load.cores)
        return load.rate

    ratio = by_turns(ours, lambda: _wrk(crowd, wrk))
    return [
        Result(
            "generator_headroom",
            1 / statistics.median(shares),
            3,
            "cores over what the generator uses of one to send the no-op's load: so often could it send as much",
            at_most=False,
        ),
        Result(
            "generator_to_wrk", ratio, 0.9, "answers a second of the no-op, in times of what wrk gets", at_most=False
        ),
    ]


def _wrk(crowd: Crowd, program: str) -> float:
    stage, show = crowd.stage, crowd.show(REQUESTS)
    requests, script = stage.folder / "wrk.requests", stage.folder / "wrk.lua"
    requests.write_bytes(b"\0".join(step for (step,) in crowd.requests(show, NO_OP)))
    script.write_text(SCRIPT % f'"{requests}"')
    return _rate(program, script, stage.url)


def _rate(program: str, script: Path, url: str) -> float:
    command = [program, "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(SECONDS))}s", "-s", str(script), url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    if found is None or "Non-2xx" in done.stdout:
        raise SystemExit(f"wrk: {done.stdout}")
    tell(f"no-ops x {CONNECTIONS} by wrk", float(found[1]))
    return float(found[1])
