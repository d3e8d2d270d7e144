"""A well-behaved client: it reattempts under the same idempotency key and backs off on 429 and 503."""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

import httpx2

from tests.support.world import API, sign

#: Longer than any fault lasts: without a final response by then, the platform is at fault.
TIMEOUT_SECONDS = 150.0
REQUEST_SECONDS = 10.0
#: Status codes to retry.
RETRIED = {429, 503}


class TimedOut(Exception):
    """No final response within TIMEOUT_SECONDS."""


class Client:
    """An HTTP client that records unexpected responses as violations."""

    def __init__(self, url: str, violate: Callable[[str], None]) -> None:
        self._violate = violate
        timeout = httpx2.Timeout(REQUEST_SECONDS, connect=2)
        address = f"10.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(1, 255)}"
        self._http = httpx2.AsyncClient(
            base_url=url, timeout=timeout, trust_env=False, headers={"X-Forwarded-For": address}
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def ask(
        self, method: str, path: str, body: Any = None, *, key: str = "", token: str = ""
    ) -> tuple[int, dict[str, Any]]:
        """Send an API request; returns the final status and body. Raises TimedOut."""
        headers = {"Idempotency-Key": key} if key else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return await self.insist(method, f"{API}{path}", headers=headers, json=body)

    async def insist(self, method: str, path: str, **options: Any) -> tuple[int, dict[str, Any]]:
        """Send a request until the response is final. Raises TimedOut."""
        end, attempts = time.monotonic() + TIMEOUT_SECONDS, 0
        while time.monotonic() < end:
            try:
                answer = await self._http.request(method, path, **options)
            except httpx2.TransportError:  # whether it had an effect is unknown
                pass
            else:
                if self._is_final(method, path, answer):
                    return answer.status_code, answer.json()
            attempts += 1
            await asyncio.sleep(random.uniform(0.5, 1) * min(0.05 * 2**attempts, 0.5))
        raise TimedOut(f"{method} {path}")

    def _is_final(self, method: str, path: str, answer: httpx2.Response) -> bool:
        status = answer.status_code
        if status in RETRIED:
            if "Retry-After" not in answer.headers:
                self._violate(f"{status} without Retry-After for {method} {path}")
            return False
        if status >= 500:
            self._violate(f"{status} for {method} {path}: {answer.text[:200]}")
            return False
        return not (status == 409 and "idempotency_in_flight" in answer.text)

    async def get(self, path: str, token: str = "") -> tuple[int, Any]:
        """Send a GET once, without retry; status 0 when the connection failed."""
        try:
            answer = await self._http.get(path, headers={"Authorization": f"Bearer {token}"} if token else {})
            return answer.status_code, answer.json()
        except httpx2.TransportError:
            return 0, {}

    async def webhook(self, raw: bytes, **changes: Any) -> int:
        """Send a signed webhook until it is accepted; returns the status. Raises TimedOut."""
        path = f"{API}/payments/webhooks/mock"
        return (await self.insist("POST", path, content=raw, headers=sign(raw) | changes))[0]
