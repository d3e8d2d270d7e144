"""The rate-limit policy: the class and the dimensions of each request, and that the numbers suit people's use."""

from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.world import API
from tests.sweeps.openapi.routes import all_routes
from ticketing import rate_limits
from ticketing.infra.security.client_network import network_of
from ticketing.rate_limits import (
    OFFICE,
    RATE_LIMIT_CLASSES,
    READ,
    SALE,
    SCAN,
    SIGN_IN,
    Dimension,
    RateLimitClass,
    buckets_of,
    policy_of,
)

# Fixed: parallel test processes must generate the same test ids.
ID = "01980000-0000-7000-8000-000000000001"
USER, KEY = f"user:{ID}", f"key:{'a' * 64}"


def class_of(method: str, path: str) -> RateLimitClass | None:
    return policy_of(method, f"{API}{path}").limits


def counted(method: str, path: str, caller: str = USER, named: str = "") -> set[Dimension]:
    return {
        Dimension(bucket.name) for bucket in buckets_of(policy_of(method, f"{API}{path}"), "192.0.2.1", caller, named)
    }


@pytest.mark.parametrize(
    ("method", "path", "limits"),
    [
        ("POST", "/auth/login", SIGN_IN),
        ("POST", "/auth/something/new", SIGN_IN),
        ("POST", "/me/password", SIGN_IN),
        ("GET", "/me/export", SIGN_IN),
        ("GET", "/me", READ),
        ("GET", "/orders/by-reference/2222-2222", SIGN_IN),
        ("GET", f"/orders/{ID}", READ),
        ("POST", "/reservations", SALE),
        ("POST", f"/reservations/{ID}/extend", SALE),
        ("DELETE", f"/reservations/{ID}", SALE),
        ("POST", "/orders", SALE),
        ("POST", "/payments", SALE),
        ("POST", "/checkout", SALE),
        ("POST", "/payments/webhooks/mock", None),
        ("POST", f"/orgs/{ID}/events/{ID}/check-ins", SCAN),
        ("GET", f"/orgs/{ID}/events/{ID}/check-ins/offline-list", SCAN),
        ("GET", f"/orgs/{ID}/orders", OFFICE),
        ("POST", f"/orgs/{ID}/venues/import", OFFICE),
        ("POST", f"/orgs/{ID}/venues/import/preview", OFFICE),
        ("POST", f"/orgs/{ID}/venues/{ID}/plans/import", OFFICE),
        ("GET", f"/events/{ID}/availability", READ),
        ("GET", "/nothing", READ),
        ("POST", "/nothing", OFFICE),
    ],
)
def test_the_path_selects_the_rate_limit_class(method: str, path: str, limits: RateLimitClass | None) -> None:
    assert class_of(method, path) is limits


def test_every_documented_route_has_a_rate_limit_class_or_a_reason() -> None:
    unlimited = {name for name, route in all_routes().items() if policy_of(route.method, route.path).limits is None}
    roots = {name.split()[1].split("/")[1] for name in unlimited if not name.startswith("POST /payments/webhooks")}
    assert roots <= rate_limits.UNLIMITED_ROOTS


def test_the_operations_manual_has_the_current_limits() -> None:
    manual = (Path(__file__).parents[1] / "docs" / "operations.md").read_text()
    for limits in RATE_LIMIT_CLASSES:
        rates = [limits.rates.get(dimension) for dimension in Dimension]
        cells = [f"{rate.per_minute} / {rate.burst}" if rate else "" for rate in rates]
        assert "| " + " | ".join([f"`{limits.name}`", *cells]) + " |" in manual


def test_files_and_probes_are_not_counted_and_pages_are() -> None:
    for path in ("/health/ready", "/metrics", "/static/x/css/base.css", "/docs", "/openapi.json", "/.well-known/x"):
        assert policy_of("GET", path).limits is None
    for path in ("/", f"/e/{ID}", "/door"):
        assert policy_of("GET", path).limits is READ


def test_requests_count_by_address_and_by_identity() -> None:
    assert counted("GET", "/events") == {Dimension.ADDRESS, Dimension.USER}
    assert counted("GET", "/events", "anonymous") == {Dimension.ADDRESS}
    assert counted("GET", f"/orgs/{ID}/orders", KEY) == {Dimension.ADDRESS, Dimension.KEY, Dimension.TENANT}
    check_ins = f"/orgs/{ID}/events/{ID}/check-ins"
    assert counted("POST", check_ins, f"device:{'b' * 64}") == {
        Dimension.ADDRESS,
        Dimension.DEVICE,
        Dimension.TENANT,
        Dimension.EVENT,
    }
    assert counted("POST", "/reservations", USER, str(uuid4())) == {Dimension.ADDRESS, Dimension.USER, Dimension.EVENT}
    assert counted("POST", "/auth/login", "anonymous", "ada") == {
        Dimension.ADDRESS,
        Dimension.EMAIL_AT_ADDRESS,
        Dimension.EMAIL,
    }


def test_anonymous_requests_cannot_exhaust_shared_limits() -> None:
    assert counted("POST", f"/orgs/{ID}/events", "anonymous") == {Dimension.ADDRESS}
    assert counted("POST", "/reservations", "anonymous", str(uuid4())) == {Dimension.ADDRESS}
    for limits in RATE_LIMIT_CLASSES:
        shared = [rate for dimension, rate in limits.rates.items() if dimension in {Dimension.TENANT, Dimension.EVENT}]
        for rate in shared:
            assert rate.per_minute >= 2 * limits.rates[Dimension.ADDRESS].per_minute
            assert rate.burst >= 2 * limits.rates[Dimension.ADDRESS].burst


def test_every_spelling_of_an_id_shares_one_bucket() -> None:
    org = uuid4()
    spellings = (str(org), str(org).upper(), org.hex, f"{{{org}}}")
    keys = {buckets_of(policy_of("GET", f"{API}/orgs/{each}"), "192.0.2.1", USER, "")[-1].key for each in spellings}
    assert len(keys) == 1
    assert Dimension.TENANT not in counted("GET", "/orgs/no-id")


def test_an_ipv6_subscriber_counts_as_one_address() -> None:
    assert network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9") != network_of("2001:db8:1:3::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") != network_of("192.0.2.2")


def allowed(limits: RateLimitClass, dimension: Dimension, seconds: float = 60) -> float:
    rate = limits.rates[dimension]
    return rate.burst + rate.per_minute * seconds / 60


def test_500_people_behind_one_address_can_buy() -> None:
    people = 500
    assert allowed(SIGN_IN, Dimension.ADDRESS) >= 2 * people  # register and log in
    assert allowed(SALE, Dimension.ADDRESS) >= 4 * people  # hold, extend, order, pay
    assert allowed(READ, Dimension.ADDRESS) >= 30 * people


def test_fifty_gates_with_one_api_key_are_not_limited() -> None:
    for dimension in (Dimension.ADDRESS, Dimension.KEY, Dimension.USER, Dimension.TENANT, Dimension.EVENT):
        assert allowed(SCAN, dimension) >= 50 * 60 * 2  # two scans per second and gate
