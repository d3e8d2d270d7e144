"""What a sale is, without a database: who has which seat, how many places are left, and what became of each hold."""

from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """What a hold is to its buyer. One that has run out is `OVER`, whether anybody has swept it or not."""

    RUNNING, OVER, CANCELLED, SOLD = "running", "over", "cancelled", "sold"


@dataclass
class Hold:
    """What a reservation is about."""

    labels: frozenset[str]
    places: int
    state: State = State.RUNNING
    extensions: int = 0


@dataclass
class Model:
    """The whole truth about one show."""

    owner: dict[str, str | None]
    places: int
    holds: dict[str, Hold] = field(default_factory=dict)

    def is_free(self, labels: frozenset[str], places: int) -> bool:
        return places <= self.places and all(self.owner[label] is None for label in labels)

    def take(self, name: str, hold: Hold, state: State = State.RUNNING) -> None:
        assert self.is_free(hold.labels, hold.places), "this belongs to somebody else"
        self.owner |= dict.fromkeys(hold.labels, name)
        self.places -= hold.places
        self.holds[name], hold.state = hold, state

    def give_back(self, name: str, labels: frozenset[str], places: int) -> None:
        assert all(self.owner[label] == name for label in labels), "this was somebody else's"
        self.owner |= dict.fromkeys(labels)
        self.places += places

    def end(self, name: str, state: State) -> None:
        self.give_back(name, self.holds[name].labels, self.holds[name].places)
        self.holds[name].state = state

    def pay(self, name: str) -> bool:
        """Whether the money buys what it was meant for: late money does when all of it is still free."""
        hold = self.holds[name]
        if hold.state == State.RUNNING:
            hold.state = State.SOLD
        elif hold.state != State.SOLD and self.is_free(hold.labels, hold.places):
            self.take(name, hold, State.SOLD)
        return hold.state == State.SOLD
