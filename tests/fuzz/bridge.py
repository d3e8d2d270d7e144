"""How a generated call reaches the application: cases are made in a thread of their own, the app lives in its loop."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
from schemathesis import Case
from schemathesis.config import SanitizationConfig
from schemathesis.transport.prepare import prepare_request

from tests.support.world import sign

AS_IT_IS = SanitizationConfig(enabled=False)
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Bridge:
    """Sends what was generated, byte for byte, with nothing between it and the application."""

    client: httpx2.AsyncClient
    loop: asyncio.AbstractEventLoop

    def send(self, case: Case[Any], headers: Mapping[str, str], *, is_signed: bool = False) -> httpx2.Response:
        """The answer; signed as the payment provider signs when `is_signed`."""
        ready = prepare_request(case, headers, config=AS_IT_IS, base_url="http://test")
        raw = _bytes(ready.body or b"")
        more = {"Mock-Signature": sign(raw)["Mock-Signature"]} if is_signed else {}
        sent = [(_bytes(name), _bytes(value)) for name, value in {**ready.headers, **more}.items()]
        return self.wait_for(self.client.request(str(ready.method), str(ready.url), content=raw, headers=sent))

    def wait_for(self, call: Any) -> httpx2.Response:
        """Run a coroutine of the client in the app's loop; not to be called from there."""
        answer: httpx2.Response = asyncio.run_coroutine_threadsafe(call, self.loop).result(TIMEOUT_SECONDS)
        return answer


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
