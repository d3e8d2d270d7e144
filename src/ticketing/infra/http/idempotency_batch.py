"""The idempotency keys of a batch, claimed, looked up and stored in three statements (rules: idempotency.py)."""

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple, TypedDict

from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import DriverConnection, rows, send
from ticketing.infra.http.idempotency import LOCK_OF_KEY, Claim, seal_body


class KeyClaim(NamedTuple):
    """A caller, named as by `security.identify`, and the key that it sent."""

    caller: str
    key: str


class Stored(NamedTuple):
    """The first response to a key; `body` is sealed."""

    fingerprint: bytes
    status: int
    body: bytes


class ResponseRow(TypedDict):
    """A response to store; `fingerprint` and the sealed `body` are in hexadecimal."""

    caller: str
    key: str
    fingerprint: str
    status: int
    body: str


#: By index among the claims: the keys in use by another request at this moment, and the responses stored earlier.
ClaimedKeys = tuple[set[int], dict[int, Stored]]


async def claim_keys(connection: DriverConnection, claims: Collection[KeyClaim]) -> PendingQuery[ClaimedKeys]:
    """Lock the keys, then look them up: in a second statement, whose snapshot is newer than the locks."""
    wanted = rows([{"n": n, "caller": caller, "key": key} for n, (caller, key) in enumerate(claims)])
    return PendingQuery(_claimed, await send(connection, _LOCK, wanted), await send(connection, _LOOK, wanted))


def _claimed(locks: Iterable[tuple[Any, ...]], stored: Iterable[tuple[Any, ...]]) -> ClaimedKeys:
    return {n for (n,) in locks}, {n: Stored(*response) for n, *response in stored}


def response_row(claim: Claim, status: int, body: bytes) -> ResponseRow:
    """The row of a response, sealed for its caller and key."""
    return {
        "caller": claim.caller,
        "key": claim.key,
        "fingerprint": claim.fingerprint[0].hex(),
        "status": status,
        "body": seal_body(body, claim.caller, claim.key).hex(),
    }


async def store_responses(connection: DriverConnection, responses: list[ResponseRow]) -> None:
    """Store the responses to keys that were claimed in this transaction."""
    await send(connection, _STORE, rows(responses))


_CLAIMS = "from json_to_recordset(%s::json) as w (n integer, caller text, key text)"
# OFFSET 0 is an optimization fence: each lock is tried exactly once.
_LOCK = f"""
select n from (select w.n, pg_try_advisory_xact_lock({LOCK_OF_KEY}) as is_ours {_CLAIMS} offset 0) as tried
 where not is_ours"""  # noqa: S608 (only constants)
_LOOK = f"""
select w.n, k.fingerprint, k.status, k.body {_CLAIMS}
  join idempotency_keys k on k.caller = w.caller and k.key = w.key"""
_STORE = """
insert into idempotency_keys (caller, key, fingerprint, status, body)
select caller, key, decode(fingerprint, 'hex'), status, decode(body, 'hex')
  from json_to_recordset(%s::json) as w (caller text, key text, fingerprint text, status smallint, body text)"""
