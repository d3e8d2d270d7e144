"""A model of a sale without a database: the owner of each seat, the available places, and the state of each hold."""

from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """The state of a hold for its buyer. A lapsed hold is `LAPSED`, expired by the sweep or not."""

    ACTIVE, LAPSED, CANCELLED, SOLD = "active", "lapsed", "cancelled", "sold"


@dataclass
class Hold:
    """A reservation: its seats and places, and its state."""

    labels: frozenset[str]
    places: int
    state: State = State.ACTIVE
    extensions: int = 0


@dataclass
class Model:
    """The complete state of one show."""

    owner: dict[str, str | None]
    places: int
    holds: dict[str, Hold] = field(default_factory=dict)

    def is_free(self, labels: frozenset[str], places: int) -> bool:
        return places <= self.places and all(self.owner[label] is None for label in labels)

    def take(self, name: str, hold: Hold, state: State = State.ACTIVE) -> None:
        assert self.is_free(hold.labels, hold.places), "this belongs to another hold"
        self.owner |= dict.fromkeys(hold.labels, name)
        self.places -= hold.places
        self.holds[name], hold.state = hold, state

    def release(self, name: str, labels: frozenset[str], places: int) -> None:
        assert all(self.owner[label] == name for label in labels), "this belonged to another hold"
        self.owner |= dict.fromkeys(labels)
        self.places += places

    def end(self, name: str, state: State) -> None:
        self.release(name, self.holds[name].labels, self.holds[name].places)
        self.holds[name].state = state

    def pay(self, name: str) -> bool:
        """Pay a hold; returns whether it is sold. A late payment succeeds if all of it is still free.

        A hold that its buyer released is never sold.
        """
        hold = self.holds[name]
        if hold.state == State.ACTIVE:
            hold.state = State.SOLD
        elif hold.state == State.LAPSED and self.is_free(hold.labels, hold.places):
            self.take(name, hold, State.SOLD)
        return hold.state == State.SOLD
