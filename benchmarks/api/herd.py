"""A thundering herd: 10,000 buyers request 500 seats at once, through 1,000 connections."""

from benchmarks.api.purchases import TRIES, purchase_requests, wait_for_tickets
from benchmarks.generator.generator import Load
from benchmarks.result import Result
from benchmarks.rounds import report
from benchmarks.testbed import verification
from benchmarks.testbed.workload import Show, Workload

BUYERS, SEATS, CONNECTIONS = 10_000, 500, 1000


def run(workload: Workload) -> list[Result]:
    """Every buyer requests one seat; those that get it order and pay. The database shows how many seats were sold."""
    show = workload.show(SEATS)
    with workload.testbed.workers_running():
        requests = purchase_requests(workload, show, show.labels * (BUYERS // SEATS))
        load = workload.testbed.generator.run(requests, CONNECTIONS, retries=TRIES)
        wait_for_tickets(workload, show, load.count(200, step=3))
        violations = _violations(workload, show, load)
        verification.check_invariants(workload)
    sold_out, all_paid = (float(load.figures["steps"][step]["last_good_at"]) for step in (0, 3))
    for what, seconds in (("held", sold_out), ("paid", all_paid), ("all responses", float(load.figures["seconds"]))):
        report(f"herd: {what} after", seconds, " s")
    report("herd: retries", float(load.figures["retries"]), " times")
    meaning = (
        f"of {SEATS} seats, those not sold exactly once, and of {BUYERS:,} buyers, those without a response, or with a"
        " 5xx without Retry-After"
    )
    time = f"seconds until {SEATS} seats were held by {BUYERS:,} buyers through {CONNECTIONS:,} connections"
    return [Result("herd_wrong", violations, 0, meaning), Result("herd_seconds", sold_out, None, time)]


def _violations(workload: Workload, show: Show, load: Load) -> int:
    sold = workload.database.execute(_SOLD, {"event": show.id}).fetchone() or (0, 0)
    responses = sum(load.count(status) for status in (201, 409, 503))
    unanswered = abs(BUYERS - responses) + int(load.figures["cut"]) + int(load.figures["unanswered"])
    refusals = sum(count for status, count in load.statuses.items() if status not in (200, 201, 409, 503))
    return sum(abs(SEATS - n) for n in sold) + unanswered + refusals + int(load.figures["bare_refusals"])


_SOLD = """
select (select count(*) from event_seats where event_id = %(event)s and status = 's'),
       (select count(distinct seat_number) from tickets where event_id = %(event)s and status = 'issued')"""
