"""The policy of limits: who is counted in which lane, and that the numbers are right for people."""

from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.world import API
from tests.sweeps.openapi.routes import all_routes
from ticketing import rate_limits
from ticketing.rate_limits import LANES, OFFICE, READ, SALE, SCAN, SIGN_IN, By, Lane, buckets_of, network_of, visit_of

# One for all: a new one at each import would give two test processes two sets of names.
ID = "01980000-0000-7000-8000-000000000001"
USER, KEY = f"user:{ID}", f"key:{'a' * 64}"


def lane_of(method: str, path: str) -> Lane | None:
    return visit_of(method, f"{API}{path}").lane


def counted(method: str, path: str, caller: str = USER, named: str = "") -> set[By]:
    return {By(bucket.name) for bucket in buckets_of(visit_of(method, f"{API}{path}"), "192.0.2.1", caller, named)}


@pytest.mark.parametrize(
    ("method", "path", "lane"),
    [
        ("POST", "/auth/login", SIGN_IN),
        ("POST", "/auth/something/new", SIGN_IN),
        ("POST", "/me/password", SIGN_IN),
        ("GET", "/me/export", SIGN_IN),
        ("GET", "/me", READ),
        ("POST", "/reservations", SALE),
        ("POST", f"/reservations/{ID}/extend", SALE),
        ("DELETE", f"/reservations/{ID}", SALE),
        ("POST", "/orders", SALE),
        ("POST", "/payments", SALE),
        ("POST", "/payments/webhooks/mock", None),
        ("POST", f"/orgs/{ID}/events/{ID}/check-ins", SCAN),
        ("GET", f"/orgs/{ID}/events/{ID}/check-ins/offline-list", SCAN),
        ("GET", f"/orgs/{ID}/orders", OFFICE),
        ("POST", f"/orgs/{ID}/venues/import", OFFICE),
        ("GET", f"/events/{ID}/availability", READ),
        ("GET", "/nothing", READ),
        ("POST", "/nothing", OFFICE),
    ],
)
def test_a_request_finds_its_lane(method: str, path: str, lane: Lane | None) -> None:
    assert lane_of(method, path) is lane


def test_every_route_of_the_document_has_a_lane_or_a_reason() -> None:
    free = {name for name, route in all_routes().items() if visit_of(route.method, route.path).lane is None}
    roots = {name.split()[1].split("/")[1] for name in free if not name.startswith("POST /payments/webhooks")}
    assert roots <= rate_limits.UNLIMITED_ROOTS


def test_the_manual_has_the_table_as_it_is() -> None:
    manual = (Path(__file__).parents[1] / "docs" / "operations.md").read_text()
    for lane in LANES:
        rates = [lane.rates.get(by) for by in By]
        cells = [f"{rate.per_minute} / {rate.burst}" if rate else "" for rate in rates]
        assert "| " + " | ".join([f"`{lane.name}`", *cells]) + " |" in manual


def test_files_and_probes_are_not_counted_and_pages_are() -> None:
    for path in ("/health/ready", "/metrics", "/static/x/css/base.css", "/docs", "/openapi.json", "/.well-known/x"):
        assert visit_of("GET", path).lane is None
    for path in ("/", f"/e/{ID}", "/door"):
        assert visit_of("GET", path).lane is READ


def test_everybody_is_counted_by_address_and_by_who_they_are() -> None:
    assert counted("GET", "/events") == {By.ADDRESS, By.USER}
    assert counted("GET", "/events", "anonymous") == {By.ADDRESS}
    assert counted("GET", f"/orgs/{ID}/orders", KEY) == {By.ADDRESS, By.KEY, By.TENANT}
    door = f"/orgs/{ID}/events/{ID}/check-ins"
    assert counted("POST", door, f"device:{'b' * 64}") == {By.ADDRESS, By.DEVICE, By.TENANT, By.EVENT}
    assert counted("POST", "/reservations", USER, str(uuid4())) == {By.ADDRESS, By.USER, By.EVENT}
    assert counted("POST", "/auth/login", "anonymous", "ada") == {By.ADDRESS, By.KNOCKER, By.EMAIL}


def test_a_stranger_uses_up_nothing_that_belongs_to_somebody_else() -> None:
    assert counted("POST", f"/orgs/{ID}/events", "anonymous") == {By.ADDRESS}
    assert counted("POST", "/reservations", "anonymous", str(uuid4())) == {By.ADDRESS}
    for lane in LANES:
        shared = [rate for by, rate in lane.rates.items() if by in {By.TENANT, By.EVENT}]
        for rate in shared:
            assert rate.per_minute >= 2 * lane.rates[By.ADDRESS].per_minute
            assert rate.burst >= 2 * lane.rates[By.ADDRESS].burst


def test_an_id_has_one_bucket_however_it_is_spelt() -> None:
    org = uuid4()
    spellings = (str(org), str(org).upper(), org.hex, f"{{{org}}}")
    keys = {buckets_of(visit_of("GET", f"{API}/orgs/{each}"), "192.0.2.1", USER, "")[-1].key for each in spellings}
    assert len(keys) == 1
    assert By.TENANT not in counted("GET", "/orgs/no-id")


def test_an_address_is_what_one_subscriber_has() -> None:
    assert network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9") != network_of("2001:db8:1:3::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") != network_of("192.0.2.2")


def room_for(lane: Lane, by: By, seconds: float = 60) -> float:
    rate = lane.rates[by]
    return rate.burst + rate.per_minute * seconds / 60


def test_a_school_behind_one_address_can_buy() -> None:
    people = 500
    assert room_for(SIGN_IN, By.ADDRESS) >= 2 * people  # register and log in
    assert room_for(SALE, By.ADDRESS) >= 4 * people  # hold, extend, order, pay
    assert room_for(READ, By.ADDRESS) >= 30 * people


def test_fifty_gates_on_one_key_are_not_slowed() -> None:
    for by in (By.ADDRESS, By.KEY, By.USER, By.TENANT, By.EVENT):
        assert room_for(SCAN, by) >= 50 * 60 * 2  # two scans a second at each
