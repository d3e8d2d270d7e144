"""Sends generated calls to the application. Cases are generated in a separate thread; the app has its event loop."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
from schemathesis import Case
from schemathesis.config import SanitizationConfig
from schemathesis.transport.prepare import prepare_request

from tests.support.world import sign

UNSANITIZED = SanitizationConfig(enabled=False)
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Bridge:
    """Sends generated cases to the application unchanged, byte for byte."""

    client: httpx2.AsyncClient
    loop: asyncio.AbstractEventLoop

    def send(self, case: Case[Any], headers: Mapping[str, str], *, is_signed: bool = False) -> httpx2.Response:
        """Send a case; `is_signed` adds the signature of the payment provider."""
        prepared = prepare_request(case, headers, config=UNSANITIZED, base_url="http://test")
        raw = _bytes(prepared.body or b"")
        signature = {"Mock-Signature": sign(raw)["Mock-Signature"]} if is_signed else {}
        sent = [(_bytes(name), _bytes(value)) for name, value in {**prepared.headers, **signature}.items()]
        return self.wait_for(self.client.request(str(prepared.method), str(prepared.url), content=raw, headers=sent))

    def wait_for(self, call: Any) -> httpx2.Response:
        """Run a coroutine of the client in the app's event loop. Must not be called from that loop."""
        response: httpx2.Response = asyncio.run_coroutine_threadsafe(call, self.loop).result(TIMEOUT_SECONDS)
        return response


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
