"""Any sequence of what buyers, staff, time and accidents can do to one show, against the model of it."""

from collections.abc import Coroutine
from typing import Any

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from tests.model.crash import die_before_commit
from tests.model.model import Hold, State
from tests.model.story import LABELS, TAKEN, Pick, Somebody, Story, Wish, Wishes
from tests.support.drain import drain
from tests.support.world import data, refusal


class OnSale(Story):
    """Each rule does something to the real system, predicts the answer from the model, and lets the model follow."""

    # Holding

    @initialize(wishes=st.lists(Wishes, min_size=2, max_size=4))
    def doors_open(self, wishes: list[Wish]) -> None:
        """Somebody is always there already, and some of them are about to pay."""
        for wish in wishes:
            self.judge(wish, self.wait_for(self.ask(wish)))
        for name in self.unordered[1:]:
            self.make_order(name)

    @rule(wish=Wishes)
    def hold(self, wish: Wish) -> None:
        self.judge(wish, self.wait_for(self.ask(wish)))

    @rule(buyer=Somebody, quantity=st.integers(1, 4))
    def hold_best_available(self, buyer: int, quantity: int) -> None:
        answer = self.wait_for(self.house.hold_best(buyer, self.show, quantity))
        free = [label for label, owner in self.model.owner.items() if owner is None]
        if len(free) < quantity:
            assert refusal(answer, 409)["code"] == "sold_out"
            return
        labels = frozenset(item["seat"] for item in data(answer, 201)["items"])
        assert len(labels) == quantity
        self.adopt(buyer, data(answer, 201)["id"], Hold(labels, 0))

    @rule(wishes=st.lists(Wishes, min_size=2, max_size=6))
    def hold_all_at_once(self, wishes: list[Wish]) -> None:
        """Any outcome will do in which nobody shares, and nobody is refused what is free in the end."""
        answers = self.wait_for(self.house.at_once(*[self.ask(wish) for wish in wishes]))
        note(f"answers: {[answer.status_code for answer in answers]}")
        pairs = list(zip(wishes, answers, strict=True))
        for wish, answer in pairs:
            if answer.status_code == 201:
                self.judge(wish, answer)
        for (_, labels, places), answer in pairs:
            if answer.status_code != 201:
                code = refusal(answer, 409)["code"]
                assert code == "seat_contended" or (code in TAKEN and not self.model.is_free(labels, places))

    @rule(label=st.sampled_from(LABELS))
    def everybody_wants_one_seat(self, label: str) -> None:
        """Exactly one has it, unless it was somebody's before."""
        wish = frozenset({label})
        was_free = self.model.is_free(wish, 0)
        wishes = [(buyer, wish, 0) for buyer in (0, 1, 2, 0, 1, 2)]
        answers = self.wait_for(self.house.at_once(*[self.ask(wish) for wish in wishes]))
        won = [pair for pair in zip(wishes, answers, strict=True) if pair[1].status_code == 201]
        assert len(won) == was_free
        for answer in answers:
            assert answer.status_code == 201 or refusal(answer, 409)["code"] in {"seat_unavailable", "seat_contended"}
        for pair in won:
            self.judge(*pair)

    # What a buyer does with a hold

    @rule(pick=Pick)
    def extend(self, pick: int) -> None:
        if (name := self.choose(pick, self.everything)) is None:
            return
        hold = self.model.holds[name]
        answer = self.wait_for(self.buyer(name).post(f"/reservations/{name}/extend"))
        if hold.state == State.RUNNING and hold.extensions == 0:
            self.saw("extended")
            hold.extensions += data(answer)["status"] == "active"
        else:
            refusal(answer, 409)

    @rule(pick=Pick)
    def cancel(self, pick: int) -> None:
        if (name := self.choose(pick, self.everything)) is None:
            return
        state = self.model.holds[name].state
        answer = self.wait_for(self.buyer(name).delete(f"/reservations/{name}"))
        if state == State.RUNNING:
            self.model.end(name, State.CANCELLED)
        assert answer.status_code == (200 if state in {State.RUNNING, State.CANCELLED} else 409)

    @rule(pick=Pick)
    def order(self, pick: int) -> None:
        if (name := self.choose(pick, self.unordered)) is not None:
            self.make_order(name)

    @rule(pick=Pick)
    def buy(self, pick: int) -> None:
        if (name := self.choose(pick, self.running)) is not None:
            if name not in self.payments:
                self.make_order(name)
            self.send_money(name, 1)

    @rule(pick=Pick, is_swept=st.booleans(), taken=st.one_of(st.none(), Wishes))
    def pay_too_late(self, pick: int, is_swept: bool, taken: Wish | None) -> None:
        """Seats and places may be with somebody else by now, or not."""
        if (name := self.choose(pick, self.running)) is None:
            return
        if name not in self.payments:
            self.make_order(name)
        self.run_out(name)
        if is_swept:
            self.wait_for(self.house.sweep())
        if taken is not None:
            self.judge(taken, self.wait_for(self.ask(taken)))
        self.send_money(name, 1)

    @rule(pick=Pick, times=st.integers(1, 3))
    def pay(self, pick: int, times: int) -> None:
        """In time or late, once or, by a provider that repeats itself, several times at once."""
        if (name := self.choose(pick, self.ordered)) is None:
            return
        self.send_money(name, times)

    @rule(pick=Pick)
    def pay_and_cancel_at_once(self, pick: int) -> None:
        """Whoever comes first: a ticket, or a refund."""
        if (name := self.choose(pick, self.payable)) is None:
            return
        webhook = self.house.world.webhook("payment.succeeded", self.payments[name])
        given_up = self.buyer(name).delete(f"/reservations/{name}")
        paid, cancelled = self.wait_for(self.house.at_once(webhook, given_up))
        assert paid.status_code == 200
        if cancelled.status_code == 200:
            self.model.end(name, State.CANCELLED)
        self.money_arrived(name)

    # What staff do

    @rule(pick=Pick, count=st.integers(1, 3))
    def give_back_tickets(self, pick: int, count: int) -> None:
        """Void some tickets of an order that was paid; their seats and places are free again."""
        if (name := self.choose(pick, self.sold)) is None:
            return
        hold = self.model.holds[name]
        order_id = self.payments[name]["order_id"]
        self.wait_for(drain(self.house.app))
        tickets = data(self.wait_for(self.buyer(name).get(f"/orders/{order_id}/tickets")))
        live = [ticket for ticket in tickets if ticket["status"] == "issued"]
        assert len(live) == len(hold.labels) + hold.places
        voided = live[:count]
        body = {"ticket_ids": [ticket["id"] for ticket in voided]}
        data(self.wait_for(self.house.tenant.admin.post(f"/orders/{order_id}/refunds", body)), 201)
        labels = frozenset(ticket["seat"] for ticket in voided if ticket["seat"])
        places = len(voided) - len(labels)
        self.saw("voided")
        self.model.give_back(name, labels, places)
        hold.labels, hold.places = hold.labels - labels, hold.places - places

    # Time and accidents

    @rule(pick=Pick)
    def time_passes(self, pick: int) -> None:
        if (name := self.choose(pick, self.running)) is None:
            return
        self.run_out(name)

    @rule()
    def sweep(self) -> None:
        """Changes nothing that anybody can see."""
        if self.has_lapsed:
            self.wait_for(self.house.sweep())
        self.has_lapsed = False

    @rule()
    def consumers_run(self) -> None:
        if len(self.payments) > self.consumed:
            self.wait_for(drain(self.house.app))
        self.consumed = len(self.payments)

    @rule(wish=Wishes)
    def die_while_holding(self, wish: Wish) -> None:
        self._after_accident(wish, die_before_commit(self.house.app, self.ask(wish)))

    @rule(wish=Wishes, at=st.integers(1, 40))
    def leave_while_holding(self, wish: Wish, at: int) -> None:
        """The client hangs up at any moment, the one after the commit included."""
        self._after_accident(wish, self.house.hang_up(self.ask(wish), at))

    @rule(pick=Pick)
    def die_while_paid(self, pick: int) -> None:
        """The provider got no answer, and comes again."""
        if (name := self.choose(pick, self.ordered)) is None:
            return
        webhook = self.house.world.webhook("payment.succeeded", self.payments[name])
        answer = self.wait_for(die_before_commit(self.house.app, webhook))
        assert answer.status_code in {200, 503}
        if answer.status_code == 503 and self.payments[name]["status"] == "pending":
            shown = data(self.wait_for(self.buyer(name).get(f"/payments/{self.payments[name]['id']}")))
            assert shown["status"] == "pending", "half of a webhook was taken"
        self.send_money(name, 1)

    @rule(pick=Pick)
    def die_while_cancelling(self, pick: int) -> None:
        if (name := self.choose(pick, self.everything)) is None:
            return
        before = self.model.holds[name].state
        cancelling = self.buyer(name).delete(f"/reservations/{name}")
        answer = self.wait_for(die_before_commit(self.house.app, cancelling))
        if answer.status_code == 200 and before == State.RUNNING:
            self.model.end(name, State.CANCELLED)
        assert answer.status_code in {200, 503} if before == State.RUNNING else {200, 409}

    def _after_accident(self, wish: Wish, work: Coroutine[Any, Any, Any]) -> None:
        """Nobody was told how it ended: all of it is there, or nothing is. If anybody was told, it is as they were."""
        answer = self.wait_for(work)
        self.wait_for(self.house.settle())
        self.saw("died" if answer is None or answer.status_code >= 500 else "outlived an accident")
        made: list[str] = self.wait_for(self.house.find_new(self.show, set(self.model.holds)))
        if answer is not None and answer.status_code < 500:
            assert made == ([data(answer, 201)["id"]] if answer.status_code == 201 else [])
            assert answer.status_code == 201 or refusal(answer, 409)["code"] in TAKEN
        assert len(made) <= 1
        buyer, labels, places = wish
        for name in made:
            self.adopt(buyer, name, Hold(labels, places))
