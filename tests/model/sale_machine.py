"""The base of the state machine: its state, and the comparison of real responses with the model."""

from collections.abc import Coroutine
from typing import Any

import httpx2
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant

from tests.model.application import PLACES, Application
from tests.model.model import Hold, Model, State
from tests.support.drain import drain
from tests.support.world import data, refusal

LABELS = [f"Stalls-{row}-{seat}" for row in "AB" for seat in range(1, 5)]
#: Error codes of holds that are refused because another hold has the seats or places.
TAKEN = {"seat_unavailable", "sold_out"}

#: A buyer, the labels of seats, and a number of places.
HoldAttempt = tuple[int, frozenset[str], int]
Seats = st.frozensets(st.sampled_from(LABELS), max_size=3)
Buyers = st.integers(0, 2)
Pick = st.integers(0, 30)
HoldAttempts = st.tuples(Buyers, Seats, st.integers(0, 3)).filter(lambda attempt: bool(attempt[1]) or attempt[2] > 0)


class SaleMachine(RuleBasedStateMachine):
    """One show and its model, which must agree after every rule."""

    def __init__(self, application: Application) -> None:
        super().__init__()
        self.application, self.wait_for = application, application.wait_for
        self.show = self.wait_for(application.open_show())
        self.model = Model(dict.fromkeys(LABELS), PLACES)
        self.buyer_of: dict[str, int] = {}
        self.payments: dict[str, dict[str, Any]] = {}
        #: Whether a hold has lapsed since the last sweep, and the number of orders that consumers have processed.
        self.has_lapsed, self.consumed = False, 0

    @property
    def all_holds(self) -> list[str]:
        return list(self.model.holds)

    @property
    def active(self) -> list[str]:
        return [name for name, hold in self.model.holds.items() if hold.state == State.ACTIVE]

    @property
    def sold(self) -> list[str]:
        holds = self.model.holds.items()
        return [name for name, hold in holds if hold.state == State.SOLD and (hold.labels or hold.places)]

    @property
    def unordered(self) -> list[str]:
        return [name for name in self.active if name not in self.payments]

    @property
    def ordered(self) -> list[str]:
        return list(self.payments)

    @property
    def payable(self) -> list[str]:
        return [name for name in self.active if name in self.payments]

    def choose(self, pick: int, names: list[str]) -> str | None:
        """One of the names; None if there are none, and then the rule does nothing.

        Not a precondition: the winner of a race differs between runs, and with it the possible next rules.
        """
        if not names:
            return None
        note(f"about hold {self.all_holds.index(names[pick % len(names)])}")
        return names[pick % len(names)]

    def hold_request(self, attempt: HoldAttempt) -> Coroutine[Any, Any, httpx2.Response]:
        buyer, labels, places = attempt
        return self.application.hold(buyer, self.show, labels, places)

    def compare(self, attempt: HoldAttempt, answer: httpx2.Response) -> None:
        buyer, labels, places = attempt
        if not self.model.is_free(labels, places):
            self.count(refusal(answer, 409)["code"])
            assert refusal(answer, 409)["code"] in TAKEN
            return
        self.adopt(buyer, data(answer, 201)["id"], Hold(labels, places))

    def adopt(self, buyer: int, name: str, hold: Hold) -> None:
        self.count("held")
        self.model.take(name, hold)
        self.buyer_of[name] = buyer

    def make_order(self, name: str) -> None:
        order = self.wait_for(self.application.world.order(self.buyer(name), {"id": name}))
        self.payments[name] = self.wait_for(self.application.world.payment(self.buyer(name), order))

    def pay_order(self, name: str, times: int) -> None:
        webhooks = [self.application.world.webhook("payment.succeeded", self.payments[name]) for _ in range(times)]
        for answer in self.wait_for(self.application.at_once(*webhooks)):
            assert answer.status_code == 200
        self.settle_payment(name)

    def settle_payment(self, name: str) -> None:
        """The first webhook buys or is refunded. Later ones have no effect, which the comparison of the map shows."""
        payment, hold = self.payments[name], self.model.holds[name]
        if payment["status"] != "pending":
            return
        payment["status"] = data(self.wait_for(self.buyer(name).get(f"/payments/{payment['id']}")))["status"]
        self.count(f"{payment['status']} when {hold.state}")
        assert payment["status"] == ("succeeded" if self.model.pay(name) else "refunded")

    def let_lapse(self, name: str) -> None:
        self.wait_for(self.application.let_lapse(name))
        self.model.end(name, State.LAPSED)
        self.has_lapsed = True

    def buyer(self, name: str) -> Any:
        return self.application.buyers[self.buyer_of[name]]

    def count(self, what: str) -> None:
        self.application.counts[what] += 1

    @invariant()
    def database_and_model_agree(self) -> None:
        found = self.wait_for(self.application.read_state(self.show))
        assert found.places == self.model.places
        assert found.seats == {label: self._status(owner) for label, owner in self.model.owner.items()}

    def _status(self, owner: str | None) -> tuple[str, str | None]:
        if owner is None:
            return "a", None
        return ("s" if self.model.holds[owner].state == State.SOLD else "h"), owner

    def teardown(self) -> None:
        self.wait_for(drain(self.application.app))
        self.wait_for(self.application.check())
