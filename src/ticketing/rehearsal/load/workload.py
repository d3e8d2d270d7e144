"""The workload of a load process: the event, its virtual buyers, when they click, and how they behave."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Workload:
    """The workload of one load process, sent to it as JSON. `opens_at` and `ends_at` are Unix times."""

    base_url: str
    run: str
    event_id: str
    #: Seat labels by seat number; None for seats that are not for sale.
    labels: list[str | None]
    #: General admission: the initial number of places by ticket type.
    places: dict[str, int]
    #: The largest quantity per order: the lowest limit of the event, its ticket types and its purchase limit.
    quantity_max: int
    user_ids: list[str]
    #: The number of the first of these buyers among the buyers of all load processes.
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
