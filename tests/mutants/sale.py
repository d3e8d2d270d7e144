"""Mutants of what is sold: seats and places. Where two walls stand, each is taken away alone, and both together."""

from tests.mutants.mutant import Edit, Mutant

_SRC = "src/ticketing"
_TABLES = "migrations/versions/2026_11_21_1200-first_tables.py"
_HOLDS = "tests/modules/reservations/test_holds.py::"
_RACES = "tests/modules/events/test_races.py::"
MODEL = "tests/model/test_model.py::test_the_database_and_the_model_agree"
CHECK = "tests/invariants/test_invariants.py::test_a_lively_database_contradicts_nothing"
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
        "a held seat is free",
        "The trigger stops the second sale, and a buyer is told that the house is broken.",
        (_HELD_IS_FREE,),
        (_TAKEN,),
        is_quick=True,
    ),
    Mutant(
        "no trigger",
        "Nothing, until a line of Python is wrong as well.",
        (NO_OWNER_TRIGGER, _NO_SOLD_TRIGGER),
        (
            f"{_RACES}test_the_database_refuses_a_second_owner_whatever_the_sql",
            f"{_RACES}test_the_database_refuses_to_turn_a_sold_seat_into_a_held_one",
        ),
    ),
    Mutant(
        "a held seat is free, and no trigger",
        "Two buyers hold one seat.",
        (_HELD_IS_FREE, NO_OWNER_TRIGGER),
        (_TAKEN, MODEL),
    ),
    Mutant(
        "a sold seat is free, and no trigger",
        "A seat is sold twice.",
        (_SOLD_IS_FREE, NO_OWNER_TRIGGER, _NO_SOLD_TRIGGER),
        (MODEL,),
    ),
    Mutant(
        "a hold that ran out is a hold",
        "Seats stay away from buyers until somebody sweeps.",
        (Edit(f"{_SRC}/modules/events/inventory/seats.py", _FREE, "(status = 'a')"),),
        (f"{_HOLDS}test_a_lapsed_hold_is_free_at_once_without_the_scheduler",),
    ),
    Mutant(
        "an overtaken hold is not expired",
        "A reservation stays active with seats that are somebody else's.",
        (Edit(f"{_SRC}/modules/reservations/hold/batch.py", "if inventory.overtaken:", "if False:"),),
        (f"{_HOLDS}test_a_lapsed_hold_is_free_at_once_without_the_scheduler",),
    ),
    Mutant(
        # One of these alone has no effect: the count aborts the batch, and its holds are decided one by one.
        "two holds of one batch share a seat, and the seats that were written are not counted",
        "Two buyers are told that they hold one seat, and one of them does.",
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
        "a seat's version stands still",
        "Whoever compares versions takes an old state for a new one.",
        (Edit(f"{_SRC}/modules/events/inventory/seat_batch.py", "version = s.version + 1", "version = s.version"),),
        (CHECK,),
    ),
    Mutant(
        "an expiry takes seats of others",
        "A seat that was taken again is given back under its new holder.",
        (
            Edit(
                f"{_SRC}/modules/events/inventory/expiry.py",
                "where s.status = 'h' and s.reservation_id = d.reservation_id",
                "",
            ),
            Edit(
                f"{_SRC}/modules/events/inventory/expiry.py",
                "\n   and s.reservation_id = due.reservation_id and s.status = 'h'",
                "",
            ),
        ),
        ("tests/model/test_locks.py::test_a_sweep_leaves_a_seat_with_another_holder",),
    ),
    Mutant(
        "the sweep waits for others",
        "One reservation that is being paid holds up the end of all the others.",
        (
            Edit(
                f"{_SRC}/modules/reservations/expiry.py",
                "select(*columns).where(lapsed).with_for_update(skip_locked=True)",
                "select(*columns).where(lapsed).with_for_update()",
            ),
        ),
        ("tests/model/test_locks.py::test_a_sweep_skips_a_locked_reservation",),
    ),
)

PLACES = (
    Mutant(
        "places are not counted",
        "The counter's own condition stops the transaction, and a buyer is told that the house is broken.",
        (_NO_INVENTORY_COUNT,),
        (f"{_HOLDS}test_places_are_taken_from_a_counter_and_never_oversold",),
    ),
    Mutant(
        "no CHECK on the counters",
        "Nothing, until a line of Python is wrong as well.",
        (_NO_CHECK,),
        (f"{_RACES}test_the_database_refuses_more_places_than_there_are",),
    ),
    Mutant(
        "places are not counted, in Python or in SQL",
        "The CHECK stops the transaction, and a buyer is told that the house is broken.",
        (_NO_INVENTORY_COUNT, _NO_COUNT),
        (f"{_HOLDS}test_places_are_taken_from_a_counter_and_never_oversold",),
    ),
    Mutant(
        "places are not counted, and no CHECK",
        "More is sold than there is.",
        (_NO_INVENTORY_COUNT, _NO_COUNT, _NO_CHECK),
        (f"{_HOLDS}test_places_are_taken_from_a_counter_and_never_oversold", MODEL),
    ),
    Mutant(
        "counters are locked in any order",
        "Two buyers of the same two types wait for each other in a circle.",
        (
            Edit(
                f"{_SRC}/modules/events/inventory/general_admission.py",
                "for ticket_type_id, quantity in sorted(quantities.items()):",
                "for ticket_type_id, quantity in quantities.items():",
            ),
        ),
        ("tests/model/test_locks.py::test_orders_of_the_same_two_types_never_deadlock",),
    ),
)
