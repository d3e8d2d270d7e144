"""Verifies the database after a round: a fast but wrong result does not count."""

from benchmarks.generator.generator import Load
from benchmarks.testbed.workload import Show, Workload


def check_holds(workload: Workload, show: Show, load: Load) -> None:
    """Abort the benchmark unless each 201 has one seat, each held seat one 201, and no seat two reservations."""
    check_seats_taken(workload, show, load.count(201))


def check_seats_taken(workload: Workload, show: Show, seats: int) -> None:
    """Abort the benchmark unless this number of seats is held or sold, each by one active reservation."""
    taken, owned, twice = workload.database.execute(_TAKEN, {"event": show.id}).fetchone() or (0, 0, 0)
    if not taken == owned == seats or twice:
        raise SystemExit(f"{seats} seats expected, {taken} held or sold, {owned} in reservations, {twice} in several")


def check_invariants(workload: Workload) -> None:
    """Abort the benchmark if `ticketing check` finds a contradiction."""
    workload.testbed.run_once("check")  # raises SystemExit if the exit status is not 0


_TAKEN = """
with live as (
    select i.seat_number, count(*) as owners from reservations r
      join reservation_items i on i.organization_id = r.organization_id and i.reservation_id = r.id
     where r.event_id = %(event)s and (r.status = 'confirmed' or r.status = 'active' and r.expires_at > now())
     group by 1)
select (select count(*) from event_seats where event_id = %(event)s and status in ('h', 's')),
       (select count(*) from live), (select count(*) from live where owners > 1)"""
