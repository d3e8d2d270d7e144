"""The herd: ten thousand buyers at five hundred seats, through a thousand connections, all at once."""

from benchmarks import proof
from benchmarks.crowd import Crowd, Show
from benchmarks.generator import Load
from benchmarks.journeys import TRIES, await_tickets, steps_for
from benchmarks.result import Result
from benchmarks.rounds import tell

BUYERS, SEATS, CONNECTIONS = 10_000, 500, 1000


def run(crowd: Crowd) -> list[Result]:
    """Everybody asks for one seat; who gets it orders and pays. The database says how many seats were sold."""
    show = crowd.show(SEATS)
    with crowd.stage.workers_at_work():
        wishes = steps_for(crowd, show, show.labels * (BUYERS // SEATS))
        load = crowd.stage.generator.run(wishes, CONNECTIONS, retries=TRIES)
        await_tickets(crowd, show, load.count(200, step=3))
        wrong = _wrong(crowd, show, load)
        proof.keeps_invariants(crowd)
    sold_out, all_paid = (float(load.seen["steps"][step]["last_good_at"]) for step in (0, 3))
    for what, seconds in (("held", sold_out), ("paid", all_paid), ("all answered", float(load.seen["seconds"]))):
        tell(f"herd: {what} after", seconds, " s")
    tell("herd: asked to come back, and did", float(load.seen["retries"]), " times")
    meaning = f"of {SEATS} seats not sold once, and of {BUYERS:,} buyers not answered, or by 5xx without Retry-After"
    time = f"seconds until {SEATS} seats were held, of {BUYERS:,} buyers through {CONNECTIONS:,} connections"
    return [Result("herd_wrong", wrong, 0, meaning), Result("herd_seconds", sold_out, None, time)]


def _wrong(crowd: Crowd, show: Show, load: Load) -> int:
    sold = crowd.database.execute(_SOLD, {"event": show.id}).fetchone() or (0, 0)
    answered = sum(load.count(status) for status in (201, 409, 503))
    unanswered = abs(BUYERS - answered) + int(load.seen["cut"]) + int(load.seen["unanswered"])
    refusals = sum(count for status, count in load.statuses.items() if status not in (200, 201, 409, 503))
    return sum(abs(SEATS - n) for n in sold) + unanswered + refusals + int(load.seen["bare_refusals"])


_SOLD = """
select (select count(*) from event_seats where event_id = %(event)s and status = 's'),
       (select count(distinct seat_number) from tickets where event_id = %(event)s and status = 'issued')"""
