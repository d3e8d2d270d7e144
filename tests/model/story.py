"""What every story of the sale keeps track of, and how an answer of the real system is judged by the model."""

from collections.abc import Coroutine
from typing import Any

import httpx2
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant

from tests.model.house import PLACES, House
from tests.model.model import Hold, Model, State
from tests.support.drain import drain
from tests.support.world import data, refusal

LABELS = [f"Stalls-{row}-{seat}" for row in "AB" for seat in range(1, 5)]
#: Why a hold is refused: somebody else has it.
TAKEN = {"seat_unavailable", "sold_out"}

#: Who wants which seats, and how many places.
Wish = tuple[int, frozenset[str], int]
Seats = st.frozensets(st.sampled_from(LABELS), max_size=3)
Somebody = st.integers(0, 2)
Pick = st.integers(0, 30)
Wishes = st.tuples(Somebody, Seats, st.integers(0, 3)).filter(lambda wish: bool(wish[1]) or wish[2] > 0)


class Story(RuleBasedStateMachine):
    """One show, its model, and what has happened so far. Whatever happens, the two agree."""

    def __init__(self, house: House) -> None:
        super().__init__()
        self.house, self.wait_for = house, house.wait_for
        self.show = self.wait_for(house.open_show())
        self.model = Model(dict.fromkeys(LABELS), PLACES)
        self.buyer_of: dict[str, int] = {}
        self.payments: dict[str, dict[str, Any]] = {}
        #: Whether there is something to sweep, and for how many orders the consumers have run.
        self.has_lapsed, self.consumed = False, 0

    @property
    def everything(self) -> list[str]:
        return list(self.model.holds)

    @property
    def running(self) -> list[str]:
        return [name for name, hold in self.model.holds.items() if hold.state == State.RUNNING]

    @property
    def sold(self) -> list[str]:
        holds = self.model.holds.items()
        return [name for name, hold in holds if hold.state == State.SOLD and (hold.labels or hold.places)]

    @property
    def unordered(self) -> list[str]:
        return [name for name in self.running if name not in self.payments]

    @property
    def ordered(self) -> list[str]:
        return list(self.payments)

    @property
    def payable(self) -> list[str]:
        return [name for name in self.running if name in self.payments]

    def choose(self, pick: int, names: list[str]) -> str | None:
        """One of them; None when there is none, and then a rule does nothing.

        Not a precondition: who wins a race differs from run to run, and with it what could be done next.
        """
        if not names:
            return None
        note(f"about hold {self.everything.index(names[pick % len(names)])}")
        return names[pick % len(names)]

    def ask(self, wish: Wish) -> Coroutine[Any, Any, httpx2.Response]:
        buyer, labels, places = wish
        return self.house.hold(buyer, self.show, labels, places)

    def judge(self, wish: Wish, answer: httpx2.Response) -> None:
        buyer, labels, places = wish
        if not self.model.is_free(labels, places):
            self.saw(refusal(answer, 409)["code"])
            assert refusal(answer, 409)["code"] in TAKEN
            return
        self.adopt(buyer, data(answer, 201)["id"], Hold(labels, places))

    def adopt(self, buyer: int, name: str, hold: Hold) -> None:
        self.saw("held")
        self.model.take(name, hold)
        self.buyer_of[name] = buyer

    def make_order(self, name: str) -> None:
        order = self.wait_for(self.house.world.order(self.buyer(name), {"id": name}))
        self.payments[name] = self.wait_for(self.house.world.payment(self.buyer(name), order))

    def send_money(self, name: str, times: int) -> None:
        webhooks = [self.house.world.webhook("payment.succeeded", self.payments[name]) for _ in range(times)]
        for answer in self.wait_for(self.house.at_once(*webhooks)):
            assert answer.status_code == 200
        self.money_arrived(name)

    def money_arrived(self, name: str) -> None:
        """The first time it buys, or goes back. What comes later says nothing new, and the map shows that."""
        payment, hold = self.payments[name], self.model.holds[name]
        if payment["status"] != "pending":
            return
        payment["status"] = data(self.wait_for(self.buyer(name).get(f"/payments/{payment['id']}")))["status"]
        self.saw(f"{payment['status']} when {hold.state}")
        assert payment["status"] == ("succeeded" if self.model.pay(name) else "refunded")

    def run_out(self, name: str) -> None:
        self.wait_for(self.house.let_run_out(name))
        self.model.end(name, State.OVER)
        self.has_lapsed = True

    def buyer(self, name: str) -> Any:
        return self.house.buyers[self.buyer_of[name]]

    def saw(self, what: str) -> None:
        self.house.seen[what] += 1

    @invariant()
    def database_and_model_agree(self) -> None:
        truth = self.wait_for(self.house.truth(self.show))
        assert truth.places == self.model.places
        assert truth.seats == {label: self._letter(owner) for label, owner in self.model.owner.items()}

    def _letter(self, owner: str | None) -> tuple[str, str | None]:
        if owner is None:
            return "a", None
        return ("s" if self.model.holds[owner].state == State.SOLD else "h"), owner

    def teardown(self) -> None:
        self.wait_for(drain(self.house.app))
        self.wait_for(self.house.check())
