"""What a crowd has to know: the event, who they are, when they click, and how they behave."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Sale:
    """The brief of one process of the crowd; it travels as JSON. Times are in seconds, `at` a Unix time."""

    base_url: str
    run: str
    event_id: str
    #: By seat number; None where there is no seat.
    labels: list[str | None]
    #: General admission: how many of each ticket type were there to begin with.
    places: dict[str, int]
    #: The most that one order may have, as the event, its ticket types and its limit per person say together.
    quantity_max: int
    user_ids: list[str]
    #: The number of the first of them among all buyers.
    first_number: int
    connections: int
    seed: int
    opens_at: float
    ramp_seconds: float
    herd_seconds: float
    think_seconds: float
    limit_seconds: float
    hold_seconds: int
    abandon_share: float
    cancel_share: float
    replay_share: float
    tries: int
    payments: bool

    @property
    def ends_at(self) -> float:
        return self.opens_at + self.limit_seconds

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_json(cls, content: dict[str, Any]) -> Self:
        return cls(**{field.name: content[field.name] for field in fields(cls)})
