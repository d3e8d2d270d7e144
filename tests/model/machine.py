"""Any sequence of actions of buyers and staff, lapsing holds and crashes at one show, compared with the model."""

from collections.abc import Coroutine
from typing import Any

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from tests.model.crash import die_before_commit
from tests.model.model import Hold, State
from tests.model.sale_machine import LABELS, TAKEN, Buyers, HoldAttempt, HoldAttempts, Pick, SaleMachine
from tests.support.drain import drain
from tests.support.world import data, refusal


class OnSale(SaleMachine):
    """Each rule acts on the real system, predicts the response from the model, and updates the model."""

    # Holding

    @initialize(attempts=st.lists(HoldAttempts, min_size=2, max_size=4))
    def start_sale(self, attempts: list[HoldAttempt]) -> None:
        """Begin with some holds, most of them ordered."""
        for attempt in attempts:
            self.compare(attempt, self.wait_for(self.hold_request(attempt)))
        for name in self.unordered[1:]:
            self.make_order(name)

    @rule(attempt=HoldAttempts)
    def hold(self, attempt: HoldAttempt) -> None:
        self.compare(attempt, self.wait_for(self.hold_request(attempt)))

    @rule(buyer=Buyers, quantity=st.integers(1, 4))
    def hold_best_available(self, buyer: int, quantity: int) -> None:
        answer = self.wait_for(self.application.hold_best(buyer, self.show, quantity))
        free = [label for label, owner in self.model.owner.items() if owner is None]
        if len(free) < quantity:
            assert refusal(answer, 409)["code"] == "sold_out"
            return
        labels = frozenset(item["seat"] for item in data(answer, 201)["items"])
        assert len(labels) == quantity
        self.adopt(buyer, data(answer, 201)["id"], Hold(labels, 0))

    @rule(attempts=st.lists(HoldAttempts, min_size=2, max_size=6))
    def hold_all_at_once(self, attempts: list[HoldAttempt]) -> None:
        """Any outcome is valid in which no seat is shared, and no refused seat is free in the end."""
        answers = self.wait_for(self.application.at_once(*[self.hold_request(attempt) for attempt in attempts]))
        note(f"answers: {[answer.status_code for answer in answers]}")
        pairs = list(zip(attempts, answers, strict=True))
        for attempt, answer in pairs:
            if answer.status_code == 201:
                self.compare(attempt, answer)
        for (_, labels, places), answer in pairs:
            if answer.status_code != 201:
                code = refusal(answer, 409)["code"]
                assert code == "seat_contended" or (code in TAKEN and not self.model.is_free(labels, places))

    @rule(label=st.sampled_from(LABELS))
    def compete_for_one_seat(self, label: str) -> None:
        """Exactly one request gets the seat, unless it was taken before."""
        attempt = frozenset({label})
        was_free = self.model.is_free(attempt, 0)
        attempts = [(buyer, attempt, 0) for buyer in (0, 1, 2, 0, 1, 2)]
        answers = self.wait_for(self.application.at_once(*[self.hold_request(attempt) for attempt in attempts]))
        won = [pair for pair in zip(attempts, answers, strict=True) if pair[1].status_code == 201]
        assert len(won) == was_free
        for answer in answers:
            assert answer.status_code == 201 or refusal(answer, 409)["code"] in {"seat_unavailable", "seat_contended"}
        for pair in won:
            self.compare(*pair)

    # Actions on a hold

    @rule(pick=Pick)
    def extend(self, pick: int) -> None:
        if (name := self.choose(pick, self.all_holds)) is None:
            return
        hold = self.model.holds[name]
        answer = self.wait_for(self.buyer(name).post(f"/reservations/{name}/extend"))
        if hold.state == State.ACTIVE and hold.extensions == 0:
            self.count("extended")
            hold.extensions += data(answer)["status"] == "active"
        else:
            refusal(answer, 409)

    @rule(pick=Pick)
    def cancel(self, pick: int) -> None:
        if (name := self.choose(pick, self.all_holds)) is None:
            return
        state = self.model.holds[name].state
        answer = self.wait_for(self.buyer(name).delete(f"/reservations/{name}"))
        if state == State.ACTIVE:
            self.model.end(name, State.CANCELLED)
        assert answer.status_code == (200 if state in {State.ACTIVE, State.CANCELLED} else 409)

    @rule(pick=Pick)
    def order(self, pick: int) -> None:
        if (name := self.choose(pick, self.unordered)) is not None:
            self.make_order(name)

    @rule(pick=Pick)
    def buy(self, pick: int) -> None:
        if (name := self.choose(pick, self.active)) is not None:
            if name not in self.payments:
                self.make_order(name)
            self.pay_order(name, 1)

    @rule(pick=Pick, is_swept=st.booleans(), taken=st.one_of(st.none(), HoldAttempts))
    def pay_too_late(self, pick: int, is_swept: bool, taken: HoldAttempt | None) -> None:
        """Pay after the hold has lapsed; other buyers may have the seats and places by then."""
        if (name := self.choose(pick, self.active)) is None:
            return
        if name not in self.payments:
            self.make_order(name)
        self.let_lapse(name)
        if is_swept:
            self.wait_for(self.application.sweep())
        if taken is not None:
            self.compare(taken, self.wait_for(self.hold_request(taken)))
        self.pay_order(name, 1)

    @rule(pick=Pick, times=st.integers(1, 3))
    def pay(self, pick: int, times: int) -> None:
        """Pay in time or late, with one webhook or several at once."""
        if (name := self.choose(pick, self.ordered)) is None:
            return
        self.pay_order(name, times)

    @rule(pick=Pick)
    def pay_and_cancel_at_once(self, pick: int) -> None:
        """Either a ticket or a refund, depending on the order."""
        if (name := self.choose(pick, self.payable)) is None:
            return
        webhook = self.application.world.webhook("payment.succeeded", self.payments[name])
        cancelling = self.buyer(name).delete(f"/reservations/{name}")
        paid, cancelled = self.wait_for(self.application.at_once(webhook, cancelling))
        assert paid.status_code == 200
        if cancelled.status_code == 200:
            self.model.end(name, State.CANCELLED)
        self.settle_payment(name)

    # Actions of staff

    @rule(pick=Pick, count=st.integers(1, 3))
    def void_tickets(self, pick: int, count: int) -> None:
        """Void some tickets of a paid order; their seats and places are available again."""
        if (name := self.choose(pick, self.sold)) is None:
            return
        hold = self.model.holds[name]
        order_id = self.payments[name]["order_id"]
        self.wait_for(drain(self.application.app))
        tickets = data(self.wait_for(self.buyer(name).get(f"/orders/{order_id}/tickets")))
        live = [ticket for ticket in tickets if ticket["status"] == "issued"]
        assert len(live) == len(hold.labels) + hold.places
        voided = live[:count]
        body = {"ticket_ids": [ticket["id"] for ticket in voided]}
        data(self.wait_for(self.application.tenant.admin.post(f"/orders/{order_id}/refunds", body)), 201)
        labels = frozenset(ticket["seat"] for ticket in voided if ticket["seat"])
        places = len(voided) - len(labels)
        self.count("voided")
        self.model.release(name, labels, places)
        hold.labels, hold.places = hold.labels - labels, hold.places - places

    # Time and crashes

    @rule(pick=Pick)
    def time_passes(self, pick: int) -> None:
        if (name := self.choose(pick, self.active)) is None:
            return
        self.let_lapse(name)

    @rule()
    def sweep(self) -> None:
        """The sweep changes nothing that a client can see."""
        if self.has_lapsed:
            self.wait_for(self.application.sweep())
        self.has_lapsed = False

    @rule()
    def consumers_run(self) -> None:
        if len(self.payments) > self.consumed:
            self.wait_for(drain(self.application.app))
        self.consumed = len(self.payments)

    @rule(attempt=HoldAttempts)
    def die_while_holding(self, attempt: HoldAttempt) -> None:
        self._after_crash(attempt, die_before_commit(self.application.app, self.hold_request(attempt)))

    @rule(attempt=HoldAttempts, at=st.integers(1, 40))
    def cancel_while_holding(self, attempt: HoldAttempt, at: int) -> None:
        """The client hangs up at any moment, the one after the commit included."""
        self._after_crash(attempt, self.application.cancel_at(self.hold_request(attempt), at))

    @rule(pick=Pick)
    def die_while_paid(self, pick: int) -> None:
        """The provider got no answer, and comes again."""
        if (name := self.choose(pick, self.ordered)) is None:
            return
        webhook = self.application.world.webhook("payment.succeeded", self.payments[name])
        answer = self.wait_for(die_before_commit(self.application.app, webhook))
        assert answer.status_code in {200, 503}
        if answer.status_code == 503 and self.payments[name]["status"] == "pending":
            shown = data(self.wait_for(self.buyer(name).get(f"/payments/{self.payments[name]['id']}")))
            assert shown["status"] == "pending", "a webhook took effect partially"
        self.pay_order(name, 1)

    @rule(pick=Pick)
    def die_while_cancelling(self, pick: int) -> None:
        if (name := self.choose(pick, self.all_holds)) is None:
            return
        before = self.model.holds[name].state
        cancelling = self.buyer(name).delete(f"/reservations/{name}")
        answer = self.wait_for(die_before_commit(self.application.app, cancelling))
        if answer.status_code == 200 and before == State.ACTIVE:
            self.model.end(name, State.CANCELLED)
        assert answer.status_code in {200, 503} if before == State.ACTIVE else {200, 409}

    def _after_crash(self, attempt: HoldAttempt, work: Coroutine[Any, Any, Any]) -> None:
        """Without a response the hold exists completely or not at all; with one, the database agrees with it."""
        answer = self.wait_for(work)
        self.wait_for(self.application.settle())
        self.count("crashed" if answer is None or answer.status_code >= 500 else "survived")
        made: list[str] = self.wait_for(self.application.find_new(self.show, set(self.model.holds)))
        if answer is not None and answer.status_code < 500:
            assert made == ([data(answer, 201)["id"]] if answer.status_code == 201 else [])
            assert answer.status_code == 201 or refusal(answer, 409)["code"] in TAKEN
        assert len(made) <= 1
        buyer, labels, places = attempt
        for name in made:
            self.adopt(buyer, name, Hold(labels, places))
