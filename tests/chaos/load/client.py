"""A sane client: whatever goes wrong on the way, it asks again under the same key, and waits when it is told to."""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

import httpx2

from tests.support.world import API, sign

#: Longer than any fault lasts; who has no answer by then has found a fault of ours.
PATIENCE_SECONDS = 150.0
REQUEST_SECONDS = 10.0
#: Answers that say: not now.
LATER = {429, 503}


class GaveUp(Exception):
    """There was no answer in all that time."""


class Client:
    """Somebody's browser. What it is told and should not be is a violation."""

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
        """The final status and body. Raises GaveUp."""
        headers = {"Idempotency-Key": key} if key else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return await self.insist(method, f"{API}{path}", headers=headers, json=body)

    async def insist(self, method: str, path: str, **options: Any) -> tuple[int, dict[str, Any]]:
        """Ask until there is an answer that is final. Raises GaveUp."""
        end, tries = time.monotonic() + PATIENCE_SECONDS, 0
        while time.monotonic() < end:
            try:
                answer = await self._http.request(method, path, **options)
            except httpx2.TransportError:  # nobody knows what has become of it
                pass
            else:
                if self._is_final(method, path, answer):
                    return answer.status_code, answer.json()
            tries += 1
            await asyncio.sleep(random.uniform(0.5, 1) * min(0.05 * 2**tries, 0.5))
        raise GaveUp(f"{method} {path}")

    def _is_final(self, method: str, path: str, answer: httpx2.Response) -> bool:
        status = answer.status_code
        if status in LATER:
            if "Retry-After" not in answer.headers:
                self._violate(f"{status} without Retry-After for {method} {path}")
            return False
        if status >= 500:
            self._violate(f"{status} for {method} {path}: {answer.text[:200]}")
            return False
        return not (status == 409 and "idempotency_in_flight" in answer.text)

    async def look(self, path: str, token: str = "") -> tuple[int, Any]:
        """One try, for those who ask all the time anyway; status 0 when nothing came."""
        try:
            answer = await self._http.get(path, headers={"Authorization": f"Bearer {token}"} if token else {})
            return answer.status_code, answer.json()
        except httpx2.TransportError:
            return 0, {}

    async def webhook(self, raw: bytes, **changes: Any) -> int:
        """What a provider sends until it is taken; the status. Raises GaveUp."""
        path = f"{API}/payments/webhooks/mock"
        return (await self.insist("POST", path, content=raw, headers=sign(raw) | changes))[0]
