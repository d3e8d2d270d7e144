"""The figures of a rehearsal, formatted for the report, and as JSON."""

import time
from typing import Any

from ticketing.rehearsal.results import RehearsalResults
from ticketing.rehearsal.thresholds import ThresholdResult

#: The steps of a virtual buyer, in order, with their labels.
STEPS = {
    "look": "viewing the event",
    "hold": "holding seats",
    "repeat": "repeating the request",
    "cancel": "cancelling the hold",
    "order": "ordering",
    "pay": "starting the payment",
    "webhook": "the provider's webhook",
}
OUTCOMES = {
    "bought": "bought tickets",
    "ordered": "ordered without paying",
    "abandoned": "abandoned their hold",
    "cancelled": "cancelled their hold",
    "too_late": "were too late: their hold had expired",
    "payment_lost": "paid, but the webhook was not accepted",
    "went_home": "got no seats",
    "sent_home": "were still active at the time limit",
    "confused": "got a response that could not be parsed",
}


def summary(results: RehearsalResults) -> dict[str, str]:
    """The most important figures."""
    sold_out = results.sold_out_seconds
    caught_up = results.lag_back_seconds
    return {
        "Began": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(results.began_at)),
        "Buyers": str(results.buyers),
        "For sale": str(results.for_sale),
        "Sold": str(results.sold),
        "Left": str(results.left),
        "Nothing left after": "never" if sold_out is None else f"{max(sold_out, 0.0):.1f} s",
        "Peak": f"{results.peak_holds} holds/s",
        "Time to hold": " / ".join(_ms(results.quantile("hold", part)) for part in (0.5, 0.95, 0.99)),
        "Lost to other buyers (409)": f"{results.lost_share:.1%} of holds",
        "Overloaded (503)": f"{results.share(503):.2%} of responses",
        "Rate-limited (429)": f"{results.share(429):.2%} of responses",
        "Log behind": f"{results.lag_peak_seconds:.1f} s at most",
        "Log caught up": "not in time" if caught_up is None else f"{caught_up:.1f} s after the sale",
    }


def steps(results: RehearsalResults) -> list[list[str]]:
    """A row for each step: label, responses, p50, p95, p99, number of responses by status."""
    rows = []
    for step, name in STEPS.items():
        if count := results.statistics.count(step):
            quantiles = [_ms(results.quantile(step, part)) for part in (0.5, 0.95, 0.99)]
            rows.append([name, str(count), *quantiles, _statuses(results, step)])
    return rows


def outcomes(results: RehearsalResults) -> list[list[str]]:
    """A row for each results: label, number of buyers."""
    counts = results.statistics.outcomes
    return [[label, str(counts[name])] for name, label in OUTCOMES.items() if counts[name]]


def _statuses(results: RehearsalResults, step: str) -> str:
    found = {name.split()[1]: count for name, count in results.statistics.responses.items() if name.split()[0] == step}
    return ", ".join(f"{status} x {found[status]}" for status in sorted(found))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def as_json(results: RehearsalResults, thresholds: list[ThresholdResult]) -> dict[str, Any]:
    """All figures. Times are in seconds, shares between 0 and 1. Programs rely on the names."""
    quantiles = {
        step: {f"p{part * 100:g}": round(results.quantile(step, part), 6) for part in (0.5, 0.95, 0.99)}
        for step in results.statistics.times
    }
    return {
        "verdict": "go" if all(each.is_kept for each in thresholds) else "no-go",
        "rules": [{"rule": each.rule, "is_kept": each.is_kept, "found": each.found} for each in thresholds],
        "event": results.title,
        "began_at": results.began_at,
        "buyers": results.buyers,
        "for_sale": results.for_sale,
        "sold": results.sold,
        "left": results.left,
        "sold_out_seconds": results.sold_out_seconds,
        "holds": results.holds,
        "peak_holds_per_second": results.peak_holds,
        "holds_by_second": {str(second): count for second, count in sorted(results.statistics.holds_by_second.items())},
        "seconds": quantiles,
        "share_409_of_holds": round(results.lost_share, 6),
        "share_503": round(results.share(503), 6),
        "share_429": round(results.share(429), 6),
        "outbox_lag_peak_seconds": round(results.lag_peak_seconds, 3),
        "outbox_lag_back_seconds": results.lag_back_seconds and round(results.lag_back_seconds, 3),
        "answers": dict(sorted(results.statistics.responses.items())),
        "ends": dict(sorted(results.statistics.outcomes.items())),
        "wrongs": dict(results.statistics.errors),
        "examples": results.statistics.examples,
        "limits": results.rate_limits,
        "notes": list(results.notes()),
    }
