"""Who may ask how often, and how much they may send: the whole policy, on one screen.

A lane is a kind of work with limits of its own, so that a rush of buyers never slows the door. A request finds its lane
by the words of its address; a route that nobody has thought of here is `read` or `office`.

The numbers follow from people, not from what the machine can do. An address may be a school: five hundred people who
buy within a minute have to pass, so addresses are wide and persons narrow. A key may be the door of an arena: fifty
gates, a scan a second each. What an organization may do in all is twice what one address may, so that no stranger can
use it up alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple
from uuid import UUID

from ticketing.infra.http.rate_limiter import Bucket, Rate

KIB, MIB = 1024, 1024 * 1024


class By(StrEnum):
    """What is counted. `KNOCKER` is an e-mail address tried from one address, `EMAIL` the same from everywhere."""

    ADDRESS = "address"
    USER = "user"
    KEY = "key"
    DEVICE = "device"
    TENANT = "tenant"
    EVENT = "event"
    KNOCKER = "knocker"
    EMAIL = "email"


@dataclass(frozen=True)
class Lane:
    """Limits that hold together. Without Redis each process keeps them by itself, or lets the work pass uncounted."""

    name: str
    rates: Mapping[By, Rate]
    is_kept_without_redis: bool = True


SIGN_IN = Lane(
    "sign_in",
    # Guessing one password is slow from one address, and from all of them together; nobody alone locks somebody out.
    {By.ADDRESS: Rate(600, 1200), By.USER: Rate(30, 30), By.KNOCKER: Rate(10, 10), By.EMAIL: Rate(30, 30)},
)
SALE = Lane(
    "sale",
    {
        By.ADDRESS: Rate(6_000, 3_000),
        By.USER: Rate(120, 120),
        By.KEY: Rate(1_200, 600),
        By.EVENT: Rate(600_000, 60_000),
    },
)
SCAN = Lane(
    "scan",
    {
        By.ADDRESS: Rate(24_000, 6_000),
        By.USER: Rate(12_000, 3_000),
        By.KEY: Rate(12_000, 3_000),
        By.DEVICE: Rate(600, 120),
        By.TENANT: Rate(60_000, 12_000),
        By.EVENT: Rate(60_000, 12_000),
    },
)
OFFICE = Lane(
    "office",
    {
        By.ADDRESS: Rate(6_000, 3_000),
        By.USER: Rate(600, 600),
        By.KEY: Rate(1_200, 600),
        By.DEVICE: Rate(600, 120),
        By.TENANT: Rate(12_000, 6_000),
    },
)
READ = Lane(
    "read",
    {
        By.ADDRESS: Rate(24_000, 12_000),
        By.USER: Rate(1_200, 600),
        By.KEY: Rate(6_000, 1_200),
        By.DEVICE: Rate(600, 120),
    },
    is_kept_without_redis=False,
)
LANES = (SIGN_IN, SALE, SCAN, OFFICE, READ)

#: Probes, files and documents that cost nothing; and what a provider sends, who has few addresses and signs each word.
UNLIMITED_ROOTS = {"health", "metrics", "static", "static-docs", "docs", "openapi.json", ".well-known", "favicon.ico"}


class Visit(NamedTuple):
    """What the address of a request says about it. `names_in_body` is the field of its body that is counted as well."""

    lane: Lane | None
    tenant: str = ""
    event: str = ""
    names_in_body: str = ""
    body_bytes_max: int = MIB
    #: The body is read piece by piece by its route: a large one, or one whose very bytes are signed.
    is_streamed: bool = False


def visit_of(method: str, path: str) -> Visit:
    """The lane and bounds of a request. The path is the decoded one that the router sees, so both see the same."""
    is_reading = method in {"GET", "HEAD", "OPTIONS"}
    match path.strip("/").split("/"):
        case ["api", "v1", *words]:
            return _api(words, is_reading)
        case [root, *_] if root in UNLIMITED_ROOTS:
            return Visit(None, body_bytes_max=4 * KIB)
    return Visit(READ if is_reading else OFFICE)


def _api(words: list[str], is_reading: bool) -> Visit:
    match words:
        case ["payments", "webhooks", *_]:
            return Visit(None, body_bytes_max=64 * KIB, is_streamed=True)
        case ["auth", *_] if not is_reading:
            return Visit(SIGN_IN, names_in_body="email")
        case ["me", *rest] if not is_reading or rest == ["export"]:
            return Visit(SIGN_IN)  # a password or a code is guessed here as well as at the log-in
        case ["reservations"] if not is_reading:
            return Visit(SALE, names_in_body="event_id")
        case ["reservations" | "orders" | "payments", *_] if not is_reading:
            return Visit(SALE)
        case ["orgs", tenant, "events", event, "check-ins", *_]:
            return Visit(SCAN, tenant, event)
        case ["orgs", tenant, "venues", "import"]:
            return Visit(OFFICE, tenant, body_bytes_max=64 * MIB, is_streamed=True)
        case ["orgs", tenant, *_]:
            return Visit(OFFICE, tenant, body_bytes_max=4 * MIB)
    return Visit(READ if is_reading else OFFICE)


def buckets_of(visit: Visit, address: str, caller: str, named: str) -> list[Bucket]:
    """The limits that count this request: its address always, and whoever else it can be counted by.

    `caller` is what `security.identify` says, `named` what its body names: a fingerprint of an e-mail, or an event.
    """
    if visit.lane is None:
        return []
    rates, name = visit.lane.rates, visit.lane.name
    return [
        Bucket(f"limit:{name}:{by}:{who}", by, rates[by])
        for by, who in _counted(visit, network_of(address), caller, named)
        if by in rates
    ]


def _counted(visit: Visit, address: str, caller: str, named: str) -> Iterator[tuple[By, str]]:
    yield By.ADDRESS, address
    kind, _, who = caller.partition(":")
    if who:
        yield By(kind), who
        # Strangers count by their address alone, or they could use up what belongs to somebody else.
        if tenant := _id(visit.tenant):
            yield By.TENANT, tenant
    if visit.names_in_body == "email" and named:
        yield By.KNOCKER, f"{named}:{address}"
        yield By.EMAIL, named
    elif who and (event := _id(visit.event or named)):
        yield By.EVENT, event


@lru_cache(maxsize=4096)
def _id(text: str) -> str:
    """One spelling of an id; none for what is no id, which opens nothing anyway."""
    try:
        return UUID(text).hex
    except ValueError:
        return ""


@lru_cache(maxsize=20_000)
def network_of(address: str) -> str:
    """What counts as one address: IPv4 as it is, IPv6 by the /64 that one subscriber has (RFC 6177 §2)."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or ip_network((parsed, 64), strict=False))
    return str(parsed)
