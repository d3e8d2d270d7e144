"""Rate limits and body size limits: the whole policy on one page.

A rate-limit class is a kind of work with separate limits, so that a rush of buyers never slows down check-in. The path
of a request selects its class; unlisted routes fall into `read` or `office`.

The limits follow from how people use the platform, not from its capacity. One address may be a school network: 500
people buying within a minute must pass, so limits per address are wide and limits per user narrow. One API key may
serve an arena: 50 gates with one scan per second each. The limit of an organization is twice that of one address, so
that a single client cannot exhaust it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from ticketing.infra.http.rate_limiter import Bucket, Rate
from ticketing.infra.security.client_network import network_of

KIB, MIB = 1024, 1024 * 1024
#: The largest list of buyers and scanners has 1,000 elements of a few values each, that of organizers 10,000 elements.
VALUES_MAX, OFFICE_VALUES_MAX = 10_000, 50_000


class Dimension(StrEnum):
    """What is counted. Values are public: they are the `limit` of a 429 and a label of its metric."""

    ADDRESS = "address"
    USER = "user"
    KEY = "key"
    DEVICE = "device"
    TENANT = "tenant"
    EVENT = "event"
    #: An email address tried from one network address.
    EMAIL_AT_ADDRESS = "knocker"
    #: An email address tried from anywhere.
    EMAIL = "email"


@dataclass(frozen=True)
class RateLimitClass:
    """Limits that apply together. Without Redis, each process counts alone or admits the requests uncounted."""

    name: str
    rates: Mapping[Dimension, Rate]
    is_kept_without_redis: bool = True


SIGN_IN = RateLimitClass(
    "sign_in",
    # Guessing the password of one account is slow from one address, and from all addresses together; a single
    # attacker cannot lock the owner out.
    {
        Dimension.ADDRESS: Rate(600, 1200),
        Dimension.USER: Rate(30, 30),
        Dimension.EMAIL_AT_ADDRESS: Rate(10, 10),
        Dimension.EMAIL: Rate(30, 30),
    },
)
SALE = RateLimitClass(
    "sale",
    {
        Dimension.ADDRESS: Rate(6_000, 3_000),
        Dimension.USER: Rate(120, 120),
        Dimension.KEY: Rate(1_200, 600),
        Dimension.EVENT: Rate(600_000, 60_000),
    },
)
SCAN = RateLimitClass(
    "scan",
    {
        Dimension.ADDRESS: Rate(24_000, 6_000),
        Dimension.USER: Rate(12_000, 3_000),
        Dimension.KEY: Rate(12_000, 3_000),
        Dimension.DEVICE: Rate(600, 120),
        Dimension.TENANT: Rate(60_000, 12_000),
        Dimension.EVENT: Rate(60_000, 12_000),
    },
)
OFFICE = RateLimitClass(
    "office",
    {
        Dimension.ADDRESS: Rate(6_000, 3_000),
        Dimension.USER: Rate(600, 600),
        Dimension.KEY: Rate(1_200, 600),
        Dimension.DEVICE: Rate(600, 120),
        Dimension.TENANT: Rate(12_000, 6_000),
    },
)
READ = RateLimitClass(
    "read",
    {
        Dimension.ADDRESS: Rate(24_000, 12_000),
        Dimension.USER: Rate(1_200, 600),
        Dimension.KEY: Rate(6_000, 1_200),
        Dimension.DEVICE: Rate(600, 120),
    },
    is_kept_without_redis=False,
)
RATE_LIMIT_CLASSES = (SIGN_IN, SALE, SCAN, OFFICE, READ)

#: Probes, files and documents that cost next to nothing.
UNLIMITED_ROOTS = {"health", "metrics", "static", "static-docs", "docs", "openapi.json", ".well-known", "favicon.ico"}


class RequestPolicy(NamedTuple):
    """The limits of a request, derived from its method and path."""

    limits: RateLimitClass | None
    tenant: str = ""
    event: str = ""
    #: The field of the JSON body that is counted as well.
    counted_field: str = ""
    body_bytes_max: int = MIB
    values_max: int = VALUES_MAX
    #: The route reads the body in chunks, because it is large or its raw bytes are signed.
    is_streamed: bool = False


def policy_of(method: str, path: str) -> RequestPolicy:
    """Return the limits of a request. `path` is the decoded path that the router matches, so that both agree."""
    is_reading = method in {"GET", "HEAD", "OPTIONS"}
    match path.strip("/").split("/"):
        case ["api", "v1", *segments]:
            return _api(segments, is_reading)
        case [root, *_] if root in UNLIMITED_ROOTS:
            return RequestPolicy(None, body_bytes_max=4 * KIB)
    return RequestPolicy(READ if is_reading else OFFICE)


def _api(segments: list[str], is_reading: bool) -> RequestPolicy:
    match segments:
        case ["payments", "webhooks", *_]:
            # Payment providers have few addresses and sign every request.
            return RequestPolicy(None, body_bytes_max=64 * KIB, is_streamed=True)
        case ["auth", *_] if not is_reading:
            return RequestPolicy(SIGN_IN, counted_field="email")
        case ["me", *rest] if not is_reading or rest == ["export"]:
            return RequestPolicy(SIGN_IN)  # passwords and codes can be guessed here as well as at login
        case ["orders", "by-reference", *_]:
            return RequestPolicy(SIGN_IN)  # reference and address together open an order without a log-in
        case ["reservations"] if not is_reading:
            return RequestPolicy(SALE, counted_field="event_id")
        case ["reservations" | "orders" | "payments" | "checkout", *_] if not is_reading:
            return RequestPolicy(SALE)
        case ["orgs", tenant, "events", event, "check-ins", *_]:
            return RequestPolicy(SCAN, tenant, event)
        case ["orgs", tenant, "venues", "import"] | ["orgs", tenant, "venues", "import", "preview"]:
            return RequestPolicy(OFFICE, tenant, body_bytes_max=64 * MIB, is_streamed=True)
        case ["orgs", tenant, "venues", _, "plans", "import"]:
            return RequestPolicy(OFFICE, tenant, body_bytes_max=64 * MIB, is_streamed=True)
        case ["orgs", tenant, *_]:
            return RequestPolicy(OFFICE, tenant, body_bytes_max=4 * MIB, values_max=OFFICE_VALUES_MAX)
    return RequestPolicy(READ if is_reading else OFFICE)


def buckets_of(policy: RequestPolicy, address: str, caller: str, named: str) -> list[Bucket]:
    """Return the buckets that count this request: its address always, and every other known dimension.

    `caller` is the result of `security.identify`, `named` the value of `counted_field`: the digest of an email address
    or an event id.
    """
    if policy.limits is None:
        return []
    rates, name = policy.limits.rates, policy.limits.name
    return [
        Bucket(f"limit:{name}:{dimension}:{counted}", dimension, rates[dimension])
        for dimension, counted in _counted(policy, network_of(address), caller, named)
        if dimension in rates
    ]


def _counted(policy: RequestPolicy, address: str, caller: str, named: str) -> Iterator[tuple[Dimension, str]]:
    yield Dimension.ADDRESS, address
    kind, _, identity = caller.partition(":")
    if identity:
        yield Dimension(kind), identity
        # Anonymous requests count by address only, or they could exhaust the limit of an organization or event.
        if tenant := _id(policy.tenant):
            yield Dimension.TENANT, tenant
    if policy.counted_field == "email" and named:
        yield Dimension.EMAIL_AT_ADDRESS, f"{named}:{address}"
        yield Dimension.EMAIL, named
    elif identity and (event := _id(policy.event or named)):
        yield Dimension.EVENT, event


@lru_cache(maxsize=4096)
def _id(text: str) -> str:
    """Normalize an id; empty when it is not an id, which no route accepts."""
    try:
        return UUID(text).hex
    except ValueError:
        return ""
