"""Values that a generator cannot guess: ids of both tenants, seats, codes and valid words."""

from collections.abc import Callable
from random import Random
from typing import Any

from schemathesis import Case

from tests.sweeps.calls.reads import known_ids
from tests.sweeps.full_tenant import FullTenant

#: The probability that a generated word is replaced by a valid one.
VALID_WORD_PROBABILITY = 0.7

Choice = Callable[[Random], Any]


class Pool:
    """The values of one tenant, and those of the other that its calls may contain."""

    def __init__(self, own: FullTenant, other: FullTenant) -> None:
        self.ids = [known_ids(own), known_ids(other)]
        # Every user may hold seats of the other's published event, so calls use its draft, which must be inaccessible.
        self.in_bodies = [_in_bodies(own, own.show.id), _in_bodies(other, other.draft.id)]
        self.words = _words(own)
        #: Ids that earlier calls created. An id that a link has inserted stays.
        self.created: set[str] = set()

    def fill(self, case: Case[Any], rng: Random) -> None:
        """Replace most ids by existing ones: of the own tenant, of the other one, or mixed. Some stay unknown."""
        tenants = rng.choices([(0,), (1,), (0, 1)], [70, 10, 20])[0]
        for name, value in case.path_parameters.items():
            if name in self.ids[0] and value not in self.created and rng.random() < 0.9:
                case.path_parameters[name] = self.ids[rng.choice(tenants)][name]
        if isinstance(case.body, dict | list):
            case.body = self._filled("", case.body, rng, tenants)

    def _filled(self, name: str, value: Any, rng: Random, tenants: tuple[int, ...]) -> Any:
        if isinstance(value, str) and value in self.created:
            return value
        bodies = self.in_bodies[rng.choice(tenants)]
        if value is not None and name in bodies and rng.random() < 0.9:
            return bodies[name]
        if value is not None and name in self.words and rng.random() < VALID_WORD_PROBABILITY:
            return self.words[name](rng)
        if isinstance(value, dict):
            return {key: self._filled(key, item, rng, tenants) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled("", item, rng, tenants) for item in value]
        return value


def _in_bodies(tenant: FullTenant, event_id: str) -> dict[str, Any]:
    return {
        **known_ids(tenant),
        "event_id": event_id,
        "ticket_type_id": tenant.show.area_type_id,
        "ticket_ids": [tenant.ticket["id"]],
    }


def _words(tenant: FullTenant) -> dict[str, Choice]:
    """Valid words by field name, of the own tenant only, so that no call changes the users of the other one."""
    return {
        "email": lambda rng: rng.choice([tenant.buyer, tenant.staff, tenant.scanner]).email,
        "seats": lambda rng: rng.sample(tenant.show.labels, rng.randint(1, 3)),
        "code": lambda rng: rng.choice(tenant.tickets)["code"],
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
