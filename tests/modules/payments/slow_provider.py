"""A payment provider whose answers a test holds back, registered under the second name that the API accepts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar
from uuid import UUID

import pytest

from tests.support.platform import eventually
from ticketing.modules.payments import Payment, Refund, providers
from ticketing.modules.payments.providers import Checkout, ProviderEvent, ProviderUnreachable


class SlowProvider:
    """Answers while `is_open` is set. It refunds each refund once, however often it is called."""

    name: ClassVar[str] = "stripe"

    def __init__(self) -> None:
        self.is_open, self.is_down = asyncio.Event(), False
        self.is_open.set()
        #: The ids of payments and refunds, one for each call.
        self.calls: list[UUID] = []
        self.refunded: set[UUID] = set()
        #: Called before each answer.
        self.before_answer: Callable[[Payment], Awaitable[object]] | None = None

    async def start(self, payment: Payment) -> Checkout:
        await self._answer(payment.id)
        if self.before_answer is not None:
            await self.before_answer(payment)
        return Checkout(f"slow_{payment.id.hex}", "https://pay.example/checkout", f"secret_{payment.id.hex}")

    async def refund(self, refund: Refund, payment: Payment) -> str:
        await self._answer(refund.id)
        self.refunded.add(refund.id)
        return f"slow_re_{refund.id.hex}"

    async def _answer(self, key: UUID) -> None:
        self.calls.append(key)
        await self.is_open.wait()
        if self.is_down:
            raise ProviderUnreachable("the connection was refused")

    def verify(self, headers: Mapping[str, str], raw: bytes) -> ProviderEvent:
        raise NotImplementedError

    async def until_called(self, times: int) -> None:
        """Wait until the provider has been called this many times."""

        async def is_called() -> bool:
            return len(self.calls) >= times

        assert await eventually(is_called)

    @asynccontextmanager
    async def during_a_call(self, act: Awaitable[Any]) -> AsyncIterator["asyncio.Task[Any]"]:
        """Run `act` in a task, and the block while the provider is being called; it answers after the block."""
        self.is_open.clear()
        known, task = len(self.calls), asyncio.ensure_future(act)
        try:
            await self.until_called(known + 1)
            yield task
        finally:
            self.is_open.set()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowProvider]:
    """The provider `stripe`; it answers at once until a test closes it."""
    provider = SlowProvider()
    monkeypatch.setitem(providers._factories, provider.name, lambda settings: provider)
    yield provider
    provider.is_open.set()
