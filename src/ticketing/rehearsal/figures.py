"""The numbers of a rehearsal, as people read them and as programs do."""

import time
from typing import Any

from ticketing.rehearsal.results import Outcome
from ticketing.rehearsal.thresholds import Finding

#: The steps of a buyer, in order, with what people call them.
STEPS = {
    "look": "looking at the event",
    "hold": "holding seats",
    "repeat": "the same hold once more",
    "cancel": "giving seats back",
    "order": "ordering",
    "pay": "starting to pay",
    "webhook": "the provider's webhook",
}
ENDS = {
    "bought": "bought",
    "ordered": "ordered, did not pay",
    "abandoned": "walked away from their seats",
    "cancelled": "gave their seats back",
    "too_late": "came too late for their own hold",
    "payment_lost": "paid, and nobody took note",
    "went_home": "found nothing and went home",
    "sent_home": "were still at it when time ran out",
    "confused": "got an answer that can't be read",
}


def headline(outcome: Outcome) -> dict[str, str]:
    """What an operator asks first."""
    sold_out = outcome.sold_out_seconds
    back = outcome.lag_back_seconds
    return {
        "Began": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(outcome.began_at)),
        "Buyers": str(outcome.buyers),
        "For sale": str(outcome.for_sale),
        "Sold": str(outcome.sold),
        "Left": str(outcome.left),
        "Nothing left after": "it never came to that" if sold_out is None else f"{max(sold_out, 0.0):.1f} s",
        "Peak": f"{outcome.peak_holds} holds/s",
        "Time to hold": " / ".join(_ms(outcome.quantile("hold", part)) for part in (0.5, 0.95, 0.99)),
        "Lost to others (409)": f"{outcome.lost_share:.1%} of holds",
        "Turned away (503)": f"{outcome.share(503):.2%} of answers",
        "Slowed down (429)": f"{outcome.share(429):.2%} of answers",
        "Log behind": f"{outcome.lag_peak_seconds:.1f} s at worst",
        "Log caught up": "not in time" if back is None else f"{back:.1f} s after the sale",
    }


def steps(outcome: Outcome) -> list[list[str]]:
    """Step, answers, p50, p95, p99, and how often which status."""
    rows = []
    for step, name in STEPS.items():
        if count := outcome.tally.count(step):
            quantiles = [_ms(outcome.quantile(step, part)) for part in (0.5, 0.95, 0.99)]
            rows.append([name, str(count), *quantiles, _statuses(outcome, step)])
    return rows


def ends(outcome: Outcome) -> list[list[str]]:
    """How many buyers came to which end."""
    return [[name, str(outcome.tally.ends[end])] for end, name in ENDS.items() if outcome.tally.ends[end]]


def _statuses(outcome: Outcome, step: str) -> str:
    found = {name.split()[1]: count for name, count in outcome.tally.answers.items() if name.split()[0] == step}
    return ", ".join(f"{status} x {found[status]}" for status in sorted(found))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def as_json(outcome: Outcome, findings: list[Finding]) -> dict[str, Any]:
    """Everything, for programs. Times in seconds, shares as parts of one."""
    quantiles = {
        step: {f"p{part * 100:g}": round(outcome.quantile(step, part), 6) for part in (0.5, 0.95, 0.99)}
        for step in outcome.tally.times
    }
    return {
        "verdict": "go" if all(finding.is_kept for finding in findings) else "no-go",
        "rules": [{"rule": f.rule, "is_kept": f.is_kept, "found": f.found} for f in findings],
        "event": outcome.title,
        "began_at": outcome.began_at,
        "buyers": outcome.buyers,
        "for_sale": outcome.for_sale,
        "sold": outcome.sold,
        "left": outcome.left,
        "sold_out_seconds": outcome.sold_out_seconds,
        "holds": outcome.holds,
        "peak_holds_per_second": outcome.peak_holds,
        "holds_by_second": {str(second): count for second, count in sorted(outcome.tally.holds_by_second.items())},
        "seconds": quantiles,
        "share_409_of_holds": round(outcome.lost_share, 6),
        "share_503": round(outcome.share(503), 6),
        "share_429": round(outcome.share(429), 6),
        "outbox_lag_peak_seconds": round(outcome.lag_peak_seconds, 3),
        "outbox_lag_back_seconds": outcome.lag_back_seconds and round(outcome.lag_back_seconds, 3),
        "answers": dict(sorted(outcome.tally.answers.items())),
        "ends": dict(sorted(outcome.tally.ends.items())),
        "wrongs": dict(outcome.tally.wrongs),
        "examples": outcome.tally.examples,
        "limits": outcome.limits,
        "notes": list(outcome.notes()),
    }
