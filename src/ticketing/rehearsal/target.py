"""The platform that is rehearsed, over HTTP: is it there, does it know what we have built, and whom does it count?"""

from uuid import UUID, uuid4

from ticketing.infra.security.access_tokens import issue_token
from ticketing.rehearsal import names
from ticketing.rehearsal.load.http_client import Answer, NoAnswer, Wire
from ticketing.rehearsal.options import RehearsalError
from ticketing.rehearsal.results import Limits

#: Numbers of buyers that no crowd reaches, whose addresses are free to ask from.
_ASKING, _BYSTANDER = 131_000, 131_001


class Platform:
    """Asked one thing at a time; close it in the end."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._wire = Wire(base_url, 1)

    async def check_ready(self) -> None:
        """Raises RehearsalError when nobody answers there, or one that can't sell."""
        answer = await self._ask("GET", "/health/ready")
        if answer.status != 200:
            raise RehearsalError(f"the platform at {self.base_url} is not ready ({answer.status} at /health/ready)")

    async def check_stage(self, event_id: UUID, user_id: UUID) -> None:
        """Raises RehearsalError when the platform has another database than we do, or other keys."""
        if (await self._ask("GET", f"/api/v1/events/{event_id}")).status != 200:
            raise RehearsalError(f"the platform at {self.base_url} works on another database than this command")
        bearer = {"Authorization": f"Bearer {issue_token(user_id, uuid4())}"}
        if (await self._ask("GET", "/api/v1/me/reservations", bearer)).status != 200:
            raise RehearsalError("JWT_SECRET here is not that of the platform: it does not take our tokens")

    async def find_limits(self) -> Limits:
        """Whom the platform counts our requests for. It costs four log-ins that are none, in the slowest lane."""
        left = [await self._left(_ASKING) for _ in range(3)]
        bystander = await self._left(_BYSTANDER)
        if bystander is None or left[-1] is None:
            return "off"
        return "each" if bystander > left[-1] else "shared"

    async def _left(self, number: int) -> int | None:
        headers = {"X-Forwarded-For": names.address_of(number), "Content-Type": "application/json"}
        answer = await self._ask("POST", "/api/v1/auth/refresh", headers, b"{}")
        told = answer.headers.get(b"ratelimit-remaining", b"")
        return int(told) if told.isdigit() else None

    async def _ask(self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        try:
            return await self._wire.ask(method, path, headers or {}, body)
        except NoAnswer as silence:
            raise RehearsalError(f"no platform answers at {self.base_url}: {silence}") from None

    def close(self) -> None:
        self._wire.close()
