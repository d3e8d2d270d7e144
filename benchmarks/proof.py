"""After a run the database is asked whether it was right: a fast wrong answer is no answer."""

from benchmarks.crowd import Crowd, Show
from benchmarks.generator import Load


def is_right(crowd: Crowd, show: Show, load: Load) -> None:
    """Ends the benchmark unless every 201 has its seat, every taken seat its 201, and no seat two owners."""
    is_taken(crowd, show, load.count(201))


def is_taken(crowd: Crowd, show: Show, seats: int) -> None:
    """Ends the benchmark unless so many seats of the show are taken, by one live reservation each."""
    taken, owned, twice = crowd.database.execute(_TAKEN, {"event": show.id}).fetchone() or (0, 0, 0)
    if not taken == owned == seats or twice:
        raise SystemExit(f"{seats} seats were given, {taken} are taken, {owned} in reservations, {twice} in several")


def keeps_invariants(crowd: Crowd) -> None:
    """Ends the benchmark when `ticketing check` finds anything."""
    crowd.stage.run_once("check")  # which exits with a status of its own when one does not hold


_TAKEN = """
with live as (
    select i.seat_number, count(*) as owners from reservations r
      join reservation_items i on i.organization_id = r.organization_id and i.reservation_id = r.id
     where r.event_id = %(event)s and (r.status = 'confirmed' or r.status = 'active' and r.expires_at > now())
     group by 1)
select (select count(*) from event_seats where event_id = %(event)s and status in ('h', 's')),
       (select count(*) from live), (select count(*) from live where owners > 1)"""
