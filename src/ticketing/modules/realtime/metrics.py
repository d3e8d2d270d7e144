"""Metrics of event streams and of the response cache."""

from ticketing.infra.metrics import Counter, Gauge

STREAMS = Gauge("ticketing_sse_streams", "Open event streams", multiprocess_mode="livesum")
FRAMES = Counter("ticketing_sse_frames_total", "Frames sent to viewers", ["kind"])
SLOW_VIEWERS = Counter("ticketing_sse_slow_viewers_total", "Viewers disconnected because they read too slowly")
CACHE_RESPONSES = Counter("ticketing_copy_answers_total", "Responses of cached routes, by source", ["map", "where"])
NOT_MODIFIED = Counter("ticketing_unchanged_answers_total", "Responses of 304 from the cache", ["map"])
