"""The live seat map: messages become frames, and frames are streamed to viewers."""

from ticketing.modules.realtime import models
from ticketing.modules.realtime.api import router
from ticketing.modules.realtime.frames import SeatFrames
from ticketing.modules.realtime.hub import Hub, running
from ticketing.modules.realtime.response_cache.loaders import PageRenderers
from ticketing.modules.realtime.response_cache.middleware import ResponseCacheMiddleware

__all__ = ["Hub", "PageRenderers", "ResponseCacheMiddleware", "SeatFrames", "router", "running"]
