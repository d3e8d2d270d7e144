"""Go or no-go: compares the results of a rehearsal with its thresholds."""

from collections.abc import Iterator
from dataclasses import dataclass

from ticketing.rehearsal.options import RehearsalOptions
from ticketing.rehearsal.results import RehearsalResults


@dataclass(frozen=True, slots=True)
class ThresholdResult:
    """A rule, whether the rehearsal kept it, and what was measured."""

    rule: str
    is_kept: bool
    found: str


def evaluate(options: RehearsalOptions, results: RehearsalResults) -> list[ThresholdResult]:
    """Every rule. If all are kept, the rehearsal is a go."""
    return [*_consistency(options, results), *_responses(results), *_speed(options, results)]


def _consistency(options: RehearsalOptions, results: RehearsalResults) -> Iterator[ThresholdResult]:
    for each in results.assertions:
        found = f"{each.count}: {', '.join(each.offenders)}" if each.count else "no contradiction"
        yield ThresholdResult(each.sentence, each.count == 0, found)
    broken = [f"{each.sentence} ({each.count}: {', '.join(each.offenders)})" for each in results.broken_invariants]
    found = "; ".join(broken) or f"all {results.invariants} invariants hold"
    yield ThresholdResult("The data of the whole platform is consistent.", not broken, found)
    back = results.lag_back_seconds
    rule = f"The log's readers catch up within {options.max_lag_seconds:g} s after the sale."
    found = "not in time" if back is None else f"after {back:.1f} s; {results.lag_peak_seconds:.1f} s behind at most"
    yield ThresholdResult(rule, back is not None, found)


def _responses(results: RehearsalResults) -> Iterator[ThresholdResult]:
    statistics = results.statistics
    yield ThresholdResult("At least one hold was granted.", results.holds > 0, f"{results.holds} holds granted")
    for kind, rule in (
        ("fault", "No response was a 5xx other than 503 with Retry-After."),
        ("silence", "Every request got a response."),
        ("surprise", "Every response is one that the API contract allows."),
        ("replay", "A request repeated with its Idempotency-Key gets the first response."),
    ):
        count = statistics.errors[kind]
        none = f"{statistics.replays} tried" if kind == "replay" else "none"
        yield ThresholdResult(rule, count == 0, str(count) if count else none)


def _speed(options: RehearsalOptions, results: RehearsalResults) -> Iterator[ThresholdResult]:
    for status, limit in ((503, options.max_503_share), (429, options.max_429_share)):
        part = results.share(status)
        found = f"{part:.2%}"
        if status == 429 and part > limit and results.rate_limits == "shared":
            found += ": all buyers shared the rate limit of one address; see the notes"
        yield ThresholdResult(f"At most {limit:.0%} of all responses are {status}.", part <= limit, found)
    p99 = results.quantile("hold", 0.99)
    rule = f"The p99 of holds is at most {options.max_p99_seconds:g} s."
    yield ThresholdResult(rule, p99 <= options.max_p99_seconds, f"{p99 * 1000:.0f} ms")
