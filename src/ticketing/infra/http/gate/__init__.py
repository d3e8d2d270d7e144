"""The gate: bounds the requests that a process works on at one time, by lane and key."""

from ticketing.infra.http.gate.gate import Gate, GateLimits, Turn
from ticketing.infra.http.gate.middleware import GateMiddleware

__all__ = ["Gate", "GateLimits", "GateMiddleware", "Turn"]
