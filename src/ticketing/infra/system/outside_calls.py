"""No call leaves the process while a transaction is open in its task.

A server that takes ten seconds would keep the transaction open for as long: its locks block other requests, its
connection is missing from the pool, and no reader of the log passes its transaction number. An effect before the commit
also stays when the transaction rolls back.

Every client of a server other than Postgres calls `assert_no_transaction` before it sends anything.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context


class TransactionOpen(AssertionError):
    """A bug: a client was called inside a transaction. Prepare the call in one, commit, and record it in another."""

    def __init__(self, client: str) -> None:
        super().__init__(f"{client} was called while a transaction is open")


class _Scope:
    """A block that may have a transaction, shared by the tasks that were started inside it."""

    __slots__ = ("is_open",)

    def __init__(self, is_open: Callable[[], bool]) -> None:
        self.is_open = is_open


#: A task inherits the scopes in which it was started. Until the transaction ends, it is bound by it: its effect could
#: precede a rollback. A task that outlives the block is free, because the end of a scope is visible in all tasks.
_scopes: ContextVar[tuple[_Scope, ...]] = ContextVar("transaction_scopes", default=())


@contextmanager
def transaction_scope(is_open: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Mark the block. `is_open` tells whether its transaction has begun, which may be later than the block."""
    scope = _Scope(is_open)
    _scopes.set((*_scopes.get(), scope))
    try:
        yield
    finally:
        scope.is_open = _never
        # No token: a generator that is closed by the garbage collector runs in another context.
        _scopes.set(tuple(other for other in _scopes.get() if other is not scope))


def free_context() -> Context:
    """A copy of this context without transactions, for a task that serves the whole process whoever starts it."""
    context = copy_context()
    context.run(_scopes.set, ())
    return context


def _never() -> bool:
    return False


def assert_no_transaction(client: str) -> None:
    """Raises TransactionOpen, which names the client, when a transaction is open in this task."""
    if any(scope.is_open() for scope in _scopes.get()):
        raise TransactionOpen(client)
