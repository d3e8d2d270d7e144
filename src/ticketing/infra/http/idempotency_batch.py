"""The keys of a whole batch: claimed, looked up and remembered in three statements; the rules are idempotency.py's."""

from collections.abc import Collection
from typing import NamedTuple, TypedDict

from ticketing.infra.db.pipeline import Cursor, Wire, rows, send
from ticketing.infra.http.idempotency import LOCK_OF_KEY


class KeyClaim(NamedTuple):
    """A caller, as `security.identify` names one, and the key that it has sent."""

    caller: str
    key: str


class Stored(NamedTuple):
    """The first answer to a key."""

    fingerprint: bytes
    status: int
    body: bytes


class AnswerRow(TypedDict):
    """What is remembered of a request: its fingerprint in hexadecimal digits, and an answer in JSON."""

    caller: str
    key: str
    fingerprint: str
    status: int
    body: str


class ClaimedKeys:
    """Locks the keys, and then looks them up: in a statement of its own, with a snapshot younger than the locks."""

    def __init__(self, locks: Cursor, answers: Cursor) -> None:
        self._locks, self._answers = locks, answers

    @classmethod
    async def ask(cls, wire: Wire, claims: Collection[KeyClaim]) -> "ClaimedKeys":
        wanted = rows([{"n": n, "caller": caller, "key": key} for n, (caller, key) in enumerate(claims)])
        return cls(await send(wire, _LOCK, wanted), await send(wire, _LOOK, wanted))

    async def read(self) -> tuple[set[int], dict[int, Stored]]:
        """By their place among the claims: those that run elsewhere at this moment, and those answered before."""
        in_flight = {n for (n,) in await self._locks.fetchall()}
        return in_flight, {n: Stored(*answer) for n, *answer in await self._answers.fetchall()}


async def remember_all(wire: Wire, answers: list[AnswerRow]) -> None:
    """Store answers to keys that were claimed in this transaction."""
    await send(wire, _REMEMBER, rows(answers))


_CLAIMS = "from json_to_recordset(%s::json) as w (n integer, caller text, key text)"
# OFFSET 0: each lock is tried once, whatever the planner thinks of the condition outside.
_LOCK = f"""
select n from (select w.n, pg_try_advisory_xact_lock({LOCK_OF_KEY}) as is_ours {_CLAIMS} offset 0) as tried
 where not is_ours"""  # noqa: S608 (only constants)
_LOOK = f"""
select w.n, k.fingerprint, k.status, k.body {_CLAIMS}
  join idempotency_keys k on k.caller = w.caller and k.key = w.key"""
_REMEMBER = """
insert into idempotency_keys (caller, key, fingerprint, status, body)
select caller, key, decode(fingerprint, 'hex'), status, convert_to(body, 'UTF8')
  from json_to_recordset(%s::json) as w (caller text, key text, fingerprint text, status smallint, body text)"""
