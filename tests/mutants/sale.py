"""Mutants of seats and general admission. If two checks protect one rule, each is removed alone, and both together."""

from tests.mutants.mutant import Edit, Mutant

_SRC = "src/ticketing"
_TABLES = "migrations/versions/2026_11_21_1200-first_tables.py"
_HOLDS = "tests/modules/reservations/test_holds.py::"
_HELD = "tests/modules/reservations/test_held_places.py::"
_ORDER = "tests/modules/reservations/test_lock_order.py::"
_RACES = "tests/modules/events/test_races.py::"
MODEL = "tests/model/test_model.py::test_the_database_and_the_model_agree"
CHECK = "tests/invariants/test_invariants.py::test_a_filled_database_has_no_contradictions"
_TAKEN = f"{_HOLDS}test_a_taken_seat_is_refused_by_name_and_nothing_is_held"

_FREE = "(status = 'a' or status = 'h' and held_until <= now())"
_HELD_IS_FREE = Edit(f"{_SRC}/modules/events/inventory/seats.py", _FREE, "(status in ('a', 'h'))")
_SOLD_IS_FREE = Edit(f"{_SRC}/modules/events/inventory/seats.py", _FREE, "(status <> 'b')")
NO_OWNER_TRIGGER = Edit(
    _TABLES,
    "(old.status = 's' or old.status = 'h' and old.held_until > now()))",
    "false)",
)
_NO_SOLD_TRIGGER = Edit(_TABLES, "when (old.status = 's' and new.status = 'h')", "when (false)")
_NO_INVENTORY_COUNT = Edit(
    f"{_SRC}/modules/reservations/hold/inventory.py",
    "if (available := self.places.get(type_id, 0)) < quantity:",
    "if False:",
)
_NO_COUNT = Edit(
    f"{_SRC}/modules/events/inventory/general_admission_batch.py",
    "\n       and t.capacity - t.held - t.sold >= w.quantity",
    "",
)
_NO_CHECK = Edit(_TABLES, '"held + sold <= coalesce(capacity, 0)"', '"true"')

SEATS = (
    Mutant(
        "held seats are free",
        "The trigger refuses the second sale, and the buyer gets a server error.",
        (_HELD_IS_FREE,),
        (_TAKEN,),
    ),
    Mutant(
        "no trigger",
        "None, unless the Python code has a defect as well.",
        (NO_OWNER_TRIGGER, _NO_SOLD_TRIGGER),
        (
            f"{_RACES}test_the_database_refuses_a_second_owner_whatever_the_sql",
            f"{_RACES}test_the_database_refuses_to_turn_a_sold_seat_into_a_held_one",
        ),
    ),
    Mutant(
        "held seats are free, and no trigger",
        "Two buyers hold one seat.",
        (_HELD_IS_FREE, NO_OWNER_TRIGGER),
        (_TAKEN, MODEL),
    ),
    Mutant(
        "sold seats are free, and no trigger",
        "A seat is sold twice.",
        (_SOLD_IS_FREE, NO_OWNER_TRIGGER, _NO_SOLD_TRIGGER),
        (MODEL,),
    ),
    Mutant(
        "lapsed holds count as active",
        "Seats are unavailable until the scheduler sweeps them.",
        (Edit(f"{_SRC}/modules/events/inventory/seats.py", _FREE, "(status = 'a')"),),
        (f"{_HOLDS}test_a_lapsed_hold_is_free_at_once_without_the_scheduler",),
    ),
    Mutant(
        "an overtaken reservation is not expired",
        "A reservation stays active with seats that belong to another one.",
        (Edit(f"{_SRC}/modules/reservations/hold/batch.py", "if inventory.overtaken:", "if False:"),),
        (f"{_HOLDS}test_a_lapsed_hold_is_free_at_once_without_the_scheduler",),
    ),
    Mutant(
        # Each edit alone has no effect: the count aborts the batch, and its holds are then decided one by one.
        "two holds of one batch share a seat, and written seats are not counted",
        "Two buyers get a hold on one seat, and only one of them has it.",
        (
            Edit(f"{_SRC}/modules/reservations/hold/inventory.py", "            self._granted_seats.add(key)\n", ""),
            Edit(
                f"{_SRC}/modules/events/inventory/seat_batch.py",
                "select 1 / cast(count(*) = %s as integer) from held",
                "select cast(%s as integer) from held",
            ),
        ),
        (f"{_HOLDS}test_fifty_requests_for_one_seat_have_one_winner",),
    ),
    Mutant(
        "the version of a seat is not incremented",
        "Clients that compare versions take an old state for a new one.",
        (
            Edit(
                f"{_SRC}/modules/events/inventory/seat_batch.py",
                "held_until = w.hold_until, version = s.version + 1",
                "held_until = w.hold_until, version = s.version",
            ),
        ),
        (CHECK,),
    ),
    Mutant(
        "expiry releases seats of other reservations",
        "A seat that was held again is released although it has a new holder.",
        (
            Edit(
                f"{_SRC}/modules/events/inventory/expiry.py",
                " and s.reservation_id = d.reservation_id and s.status = 'h'",
                "",
            ),
        ),
        ("tests/model/test_locks.py::test_a_sweep_leaves_a_seat_with_another_holder",),
    ),
    Mutant(
        "the sweep waits for locked reservations",
        "One reservation that is being paid delays the expiry of all others.",
        (
            Edit(
                f"{_SRC}/modules/reservations/expiry.py",
                "select(*columns).with_for_update(skip_locked=True)",
                "select(*columns).with_for_update()",
            ),
        ),
        ("tests/model/test_locks.py::test_a_sweep_skips_a_locked_reservation",),
    ),
)

PLACES = (
    Mutant(
        "two batches count what one account holds at the same time",
        "An account holds more than the limit by requests that arrive at once at two processes.",
        (Edit(f"{_SRC}/modules/reservations/hold/held_places.py", "if buyer in self.buyers.contended:", "if False:"),),
        (f"{_HELD}test_two_processes_count_one_account_together",),
    ),
    Mutant(
        "seats that ran out do not rest",
        "An account holds the same seats again at the moment at which its hold runs out.",
        (
            Edit(
                f"{_SRC}/modules/reservations/hold/buyers_now.py",
                "least(r.expires_at, coalesce(r.ended_at, r.expires_at))",
                "r.ended_at",
            ),
        ),
        (f"{_HELD}test_seats_that_were_let_go_rest_for_their_holder_only",),
    ),
    Mutant(
        "places are not counted in Python",
        "The condition on the counter aborts the transaction, and the buyer gets a server error.",
        (_NO_INVENTORY_COUNT,),
        (f"{_HOLDS}test_places_are_taken_from_a_counter_and_never_oversold",),
    ),
    Mutant(
        "no CHECK on the counters",
        "None, unless the Python code has a defect as well.",
        (_NO_CHECK,),
        (f"{_RACES}test_the_database_refuses_more_places_than_there_are",),
    ),
    Mutant(
        "places are not counted, in Python or in SQL",
        "The CHECK aborts the transaction, and the buyer gets a server error.",
        (_NO_INVENTORY_COUNT, _NO_COUNT),
        (f"{_HOLDS}test_places_are_taken_from_a_counter_and_never_oversold",),
    ),
    Mutant(
        "places are not counted, and no CHECK",
        "More places are sold than the capacity.",
        (_NO_INVENTORY_COUNT, _NO_COUNT, _NO_CHECK),
        (f"{_HOLDS}test_places_are_taken_from_a_counter_and_never_oversold", MODEL),
    ),
    Mutant(
        "counters are locked in another order",
        "A sweep deadlocks with a batch of holds.",
        (
            Edit(
                f"{_SRC}/modules/events/inventory/general_admission.py",
                ' order by t.organization_id, t.id for update"""',
                ' order by t.id desc for update"""',
            ),
        ),
        (f"{_ORDER}test_a_sweep_and_a_batch_of_two_events",),
    ),
    Mutant(
        "an expiry locks counters while it changes them",
        "A batch that overtakes a lapsed hold deadlocks with a sale.",
        (
            Edit(
                f"{_SRC}/modules/reservations/hold/batch.py",
                "        wanted |= places(chain(*self._lapsed.values())).keys()\n",
                "",
            ),
        ),
        (f"{_ORDER}test_a_batch_that_overtakes_a_lapsed_hold_with_places_and_a_sale",),
    ),
    Mutant(
        "a batch waits for the seats of a lapsed hold",
        "Two batches that overtake one lapsed hold deadlock.",
        (Edit(f"{_SRC}/modules/reservations/expiry.py", ", skip_locked=True)\n    return {one", ")\n    return {one"),),
        (f"{_ORDER}test_two_batches_that_overtake_one_lapsed_hold",),
    ),
    Mutant(
        "an erasure cancels one hold after the other",
        "It deadlocks with a batch of holds.",
        (
            Edit(
                f"{_SRC}/modules/reservations/personal_data.py",
                "for step in (_lock_seats, _lock_places, _cancel):",
                "for step in (_cancel,):",
            ),
        ),
        (f"{_ORDER}test_an_erasure_and_a_batch_of_two_events",),
    ),
)
