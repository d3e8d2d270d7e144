"""Go or no-go: each rule with what it asks for and what was found."""

from collections.abc import Iterator
from dataclasses import dataclass

from ticketing.rehearsal.options import Choices
from ticketing.rehearsal.results import Outcome


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule about one rehearsal."""

    rule: str
    is_kept: bool
    found: str


def judge(choices: Choices, outcome: Outcome) -> list[Finding]:
    """Every rule, kept or not; all kept is a go."""
    return [*_about_truth(choices, outcome), *_about_answers(outcome), *_about_speed(choices, outcome)]


def _about_truth(choices: Choices, outcome: Outcome) -> Iterator[Finding]:
    for proof in outcome.proofs:
        named = f"{proof.count}: {', '.join(proof.offenders)}" if proof.count else "none contradicts it"
        yield Finding(proof.sentence, proof.count == 0, named)
    wrong = [f"{broken.sentence} ({broken.count}: {', '.join(broken.named)})" for broken in outcome.broken]
    said = "; ".join(wrong) or f"all {outcome.invariants} hold"
    yield Finding("The data of the whole platform contradicts itself nowhere.", not wrong, said)
    back = outcome.lag_back_seconds
    rule = f"The readers of the log have caught up {choices.max_lag_seconds:g} s after the sale."
    found = "not in time" if back is None else f"after {back:.1f} s; {outcome.lag_peak_seconds:.1f} s behind at worst"
    yield Finding(rule, back is not None, found)


def _about_answers(outcome: Outcome) -> Iterator[Finding]:
    tally = outcome.tally
    yield Finding("Somebody got a seat.", outcome.holds > 0, f"{outcome.holds} holds granted")
    for kind, rule in (
        ("fault", "No answer was a 5xx, but 503 with Retry-After."),
        ("silence", "Every request was answered."),
        ("surprise", "Every answer is one that the contract foresees."),
        ("replay", "A request sent twice with one Idempotency-Key reads the first answer."),
    ):
        count = tally.wrongs[kind]
        good = f"{tally.replays} tried" if kind == "replay" else "none"
        yield Finding(rule, count == 0, str(count) if count else good)


def _about_speed(choices: Choices, outcome: Outcome) -> Iterator[Finding]:
    for status, most in ((503, choices.max_503_share), (429, choices.max_429_share)):
        part = outcome.share(status)
        found = f"{part:.2%}"
        if status == 429 and part > most and outcome.limits == "shared":
            found += ": the limits of one address, not the platform, decided this rehearsal; see the notes"
        yield Finding(f"At most {most:.0%} of all answers are {status}.", part <= most, found)
    p99 = outcome.quantile("hold", 0.99)
    rule = f"Of a hundred answers to a hold, 99 come within {choices.max_p99_seconds:g} s."
    yield Finding(rule, p99 <= choices.max_p99_seconds, f"{p99 * 1000:.0f} ms")
