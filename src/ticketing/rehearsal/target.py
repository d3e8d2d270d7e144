"""The platform under test: whether it is ready, matches the configuration of this command, and limits buyers apart."""

from uuid import UUID, uuid4

from ticketing.infra.security.access_tokens import issue_token
from ticketing.rehearsal import names
from ticketing.rehearsal.load.http_client import HttpClient, NoResponse, Response
from ticketing.rehearsal.options import RehearsalError
from ticketing.rehearsal.results import RateLimits

#: Buyer numbers above the allowed number of virtual buyers, whose IP addresses are therefore unused.
_PROBE, _OTHER_PROBE = 131_000, 131_001


class Target:
    """One request at a time; close it at the end."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._client = HttpClient(base_url, 1)

    async def check_ready(self) -> None:
        """Raises RehearsalError if the platform does not answer, or is not ready."""
        response = await self._request("GET", "/health/ready")
        if response.status != 200:
            raise RehearsalError(f"the platform at {self.base_url} is not ready ({response.status} at /health/ready)")

    async def check_configuration(self, event_id: UUID, user_id: UUID) -> None:
        """Raises RehearsalError if the platform uses another database or JWT secret than this command."""
        if (await self._request("GET", f"/api/v1/events/{event_id}")).status != 200:
            raise RehearsalError(f"the platform at {self.base_url} uses another database than this command")
        bearer = {"Authorization": f"Bearer {issue_token(user_id, uuid4())}"}
        if (await self._request("GET", "/api/v1/me/reservations", bearer)).status != 200:
            raise RehearsalError("JWT_SECRET here is not that of the platform, which rejects the buyers' tokens")

    async def detect_rate_limits(self) -> RateLimits:
        """Whether the platform limits each buyer's address. Sends four invalid log-ins, the most limited request."""
        remaining = [await self._remaining(_PROBE) for _ in range(3)]
        other = await self._remaining(_OTHER_PROBE)
        if other is None or remaining[-1] is None:
            return "off"
        return "each" if other > remaining[-1] else "shared"

    async def _remaining(self, number: int) -> int | None:
        headers = {"X-Forwarded-For": names.address_of(number), "Content-Type": "application/json"}
        response = await self._request("POST", "/api/v1/auth/refresh", headers, b"{}")
        remaining = response.headers.get(b"ratelimit-remaining", b"")
        return int(remaining) if remaining.isdigit() else None

    async def _request(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> Response:
        try:
            return await self._client.request(method, path, headers or {}, body)
        except NoResponse as error:
            raise RehearsalError(f"no platform answers at {self.base_url}: {error}") from None

    def close(self) -> None:
        self._client.close()
