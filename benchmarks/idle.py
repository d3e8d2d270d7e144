"""What waiting costs: the share of a core that the relay uses while nothing happens."""

import time
from pathlib import Path

from benchmarks.backbone_stage import Backbone
from benchmarks.result import Result
from benchmarks.rounds import tell
from ticketing.infra.system.processes import wait_for

SECONDS = 20
START_SECONDS = 60
#: Looks come ever more rarely.
SETTLE_SECONDS = 5
TICKS_PER_SECOND = 100


def run(backbone: Backbone) -> list[Result]:
    """One relay that holds the lease, and all workers of a machine without Kafka in one process."""
    relay = _idle(backbone, "relay", "--only", "relay")
    workers = _idle(backbone, "workers without Kafka", KAFKA_BOOTSTRAP_SERVERS="")
    return [
        Result("relay_idle_cpu", relay, 0.01, f"of a core, what an idle relay uses, over {SECONDS} s"),
        Result(
            "workers_idle_cpu", workers, None, "the same of consumers that read the log themselves, and the scheduler"
        ),
    ]


def _idle(backbone: Backbone, who: str, *only: str, **settings: str) -> float:
    with backbone.stage.running("ticketing.cli", "worker", *only, name="idle", **settings) as process:
        wait_for(lambda: _is_at_work(backbone, process.pid), START_SECONDS)
        time.sleep(SETTLE_SECONDS)
        before = _cpu_seconds(process.pid)
        time.sleep(SECONDS)
        share = (_cpu_seconds(process.pid) - before) / SECONDS
        if process.poll() is not None:
            raise SystemExit((backbone.stage.folder / "idle.log").read_text()[-2000:])
    tell(f"idle: {who}", 100 * share, " % of a core")
    return share


def _is_at_work(backbone: Backbone, pid: int) -> bool:
    """It has started when it holds a lease."""
    held = "select exists (select from outbox_cursor where split_part(lease_owner, ':', 2) = %s)"
    return backbone.database.execute(held, [str(pid)]).fetchone() == (True,)


def _cpu_seconds(pid: int) -> float:
    """Of all threads, in user and system mode (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
