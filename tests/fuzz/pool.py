"""What no generator guesses, put into its calls: ids of both tenants, seats, codes, and words that mean something."""

from collections.abc import Callable
from random import Random
from typing import Any

from schemathesis import Case

from tests.sweeps.calls.reads import known_ids
from tests.sweeps.full_tenant import Stage

#: So often a generated word gives way to one that means something; the rest stays as odd as it was generated.
MEANT = 0.7

Choice = Callable[[Random], Any]


class Pool:
    """One tenant's things, and the other's as far as they may be named."""

    def __init__(self, own: Stage, other: Stage) -> None:
        self.ids = [known_ids(own), known_ids(other)]
        # Everybody may hold seats of the other's published event. What must not be possible is tried on its draft.
        self.in_bodies = [_in_bodies(own, own.show.id), _in_bodies(other, other.draft.id)]
        self.words = _words(own)
        #: Ids that the calls themselves have made; where a link put one, it stays.
        self.made: set[str] = set()

    def fill(self, case: Case[Any], rng: Random) -> None:
        """Most ids become ones that exist: all of one's own, all of the other's, or mixed; some stay unknown."""
        whose = rng.choices([(0,), (1,), (0, 1)], [70, 10, 20])[0]
        for name, value in case.path_parameters.items():
            if name in self.ids[0] and value not in self.made and rng.random() < 0.9:
                case.path_parameters[name] = self.ids[rng.choice(whose)][name]
        if isinstance(case.body, dict | list):
            case.body = self._filled("", case.body, rng, whose)

    def _filled(self, name: str, value: Any, rng: Random, whose: tuple[int, ...]) -> Any:
        if isinstance(value, str) and value in self.made:
            return value
        bodies = self.in_bodies[rng.choice(whose)]
        if value is not None and name in bodies and rng.random() < 0.9:
            return bodies[name]
        if value is not None and name in self.words and rng.random() < MEANT:
            return self.words[name](rng)
        if isinstance(value, dict):
            return {key: self._filled(key, item, rng, whose) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled("", item, rng, whose) for item in value]
        return value


def _in_bodies(stage: Stage, event_id: str) -> dict[str, Any]:
    return {
        **known_ids(stage),
        "event_id": event_id,
        "ticket_type_id": stage.show.area_type_id,
        "ticket_ids": [stage.ticket["id"]],
    }


def _words(stage: Stage) -> dict[str, Choice]:
    """By the name of the field; all of it is the caller's own, so that a call does not write to the other's people."""
    return {
        "email": lambda rng: rng.choice([stage.buyer, stage.staff, stage.scanner]).email,
        "seats": lambda rng: rng.sample(stage.show.labels, rng.randint(1, 3)),
        "code": lambda rng: rng.choice(stage.tickets)["code"],
        "categories": lambda rng: ["Stalls"],
        "category": lambda rng: "Stalls",
        "section": lambda rng: "Stalls",
        "currency": lambda rng: "EUR",
        "timezone": lambda rng: "Europe/Amsterdam",
        "country": lambda rng: "NL",
        "provider": lambda rng: "mock",
        "url": lambda rng: f"https://hooks.example.com/{rng.getrandbits(32):x}",
        "types": lambda rng: rng.sample(["order.*", "ticket.*", "reservation.created"], rng.randint(0, 2)),
        "starts_at": lambda rng: "2031-06-01T19:00:00Z",
        "slug": lambda rng: f"fuzz-{rng.getrandbits(48):x}",
        "quantity": lambda rng: rng.randint(1, 4),
    }
