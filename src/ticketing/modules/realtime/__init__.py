"""The live seat map: from messages to frames, and from frames to everybody who watches."""

from ticketing.modules.realtime import models
from ticketing.modules.realtime.api import router
from ticketing.modules.realtime.frames import SeatFrames
from ticketing.modules.realtime.hub import Hub, running
from ticketing.modules.realtime.response_cache.middleware import FromMemory

__all__ = ["FromMemory", "Hub", "SeatFrames", "router", "running"]
