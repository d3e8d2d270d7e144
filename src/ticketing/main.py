"""The application: routers, error handlers, middleware and lifespan."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI

from ticketing.admission import Admission
from ticketing.alerts import ALERTS
from ticketing.infra import app_state, crash_points, log, redis
from ticketing.infra.app_state import AppState
from ticketing.infra.config import Settings, get_settings
from ticketing.infra.db import Database
from ticketing.infra.group_commit import GroupCommit
from ticketing.infra.http import error_handlers, idempotency, security_headers
from ticketing.infra.http.envelope import ErrorEnvelope
from ticketing.infra.http.gate import Gate, GateLimits, GateMiddleware
from ticketing.infra.http.head_requests import HeadRequests
from ticketing.infra.http.openapi import links, pages
from ticketing.infra.http.rate_limiter import RateLimiter
from ticketing.infra.http.request_context import RequestContext
from ticketing.infra.http.routing import RouteTable
from ticketing.infra.http.server import Shutdown
from ticketing.infra.redis.commit_notifications import CommitListener, CommitNotifier
from ticketing.lanes import turn_of
from ticketing.modules import (
    events,
    health,
    iam,
    orders,
    organizations,
    payments,
    privacy,
    realtime,
    reservations,
    tickets,
    venues,
    webhooks,
)
from ticketing.web import mount_web, render_event, render_home

# In order of traffic during a rush: routes are matched one after the other.
MODULES = (reservations, realtime, events, orders, payments, tickets, iam, organizations, venues, webhooks, privacy)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Create the application: the API and the pages. Raises ConfigurationError for invalid settings."""
    settings = settings or get_settings()
    app = FastAPI(
        title="Ticketing",
        version="1",
        lifespan=_lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # We write our own metrics and logs; the framework's would contain values that our logs leave out.
        telemetry={"metrics": False, "logs": False},
        responses={"4XX": {"model": ErrorEnvelope}, "5XX": {"model": ErrorEnvelope}},
    )
    app.state = AppState(settings)
    error_handlers.install(app)
    idempotency.install(app)
    for module in MODULES:
        app.include_router(module.router, prefix="/api/v1")
    for router in (payments.pages, tickets.well_known, health.router):
        app.include_router(router)
    pages.install(app)
    links.install(app)
    _mount_pages(app)
    app.add_middleware(RouteTable, routes_of=app)
    app.add_middleware(reservations.FastPathHolds)
    app.add_middleware(Admission)
    app.add_middleware(realtime.ResponseCacheMiddleware)
    app.add_middleware(GateMiddleware, gate=Gate(_gate_limits(settings)), classify=turn_of)
    if settings.allowed_origins:
        app.add_middleware(security_headers.allow_origins, origins=settings.allowed_origins)
    app.add_middleware(HeadRequests)
    app.add_middleware(RequestContext, settings=settings)
    crash_points.check_armed()
    return app


def _gate_limits(settings: Settings) -> GateLimits:
    return GateLimits(
        settings.gate_key_running_max,
        settings.gate_lane_running_max,
        settings.gate_key_waiting_max,
        settings.gate_wait_seconds,
    )


def _mount_pages(app: FastAPI) -> None:
    """Mount the browser's pages. They embed the API's own response bodies, so that they are readable without script."""

    async def list_events(words: str) -> list[dict[str, Any]]:
        async with app_state.of(app).get(Database).transaction() as session:
            return [event.model_dump(mode="json") for event in await events.describe_upcoming(session, words)]

    async def find_event(event_id: str) -> dict[str, Any] | None:
        async with app_state.of(app).get(Database).transaction() as session:
            event = await events.find_published(session, event_id)
            return event.model_dump(mode="json") if event else None

    site = app_state.of(app).get(Settings).base_url
    mount_web(app, site=site, list_events=list_events, find_event=find_event)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state = app_state.of(app)
    settings = state.get(Settings)
    log.configure(settings.log_format, settings.log_level, "api")
    client = redis.connect(settings)
    database = Database(settings, notifier=CommitNotifier(client))
    limits = (settings.reservation_extensions_max, settings.held_places_max, settings.seat_rest_seconds)
    group_commit = GroupCommit(database)
    holds = reservations.Holds(database, group_commit, reservations.HoldRules(*limits))
    monitor = health.HealthMonitor(health.Dependencies.of(settings, database, client), ALERTS)
    shutdown = Shutdown()
    long_poll = webhooks.LongPoll(database, CommitListener(client), shutdown)
    state.provide(orders.OrderBatches(database, group_commit))
    state.provide(payments.Settlements(database, group_commit))
    state.provide(payments.PaymentReservations(group_commit), payments.PaymentRecords(database, group_commit))
    state.provide(client, database, group_commit, holds, monitor, shutdown, long_poll)
    limiter = RateLimiter(redis.connect_for_limits(settings)) if settings.rate_limits == "on" else None
    if limiter is not None:
        state.provide(limiter)
    renderers = realtime.PageRenderers(
        partial(render_home, site=settings.base_url), partial(render_event, site=settings.base_url)
    )
    async with iam.watch_revocations(database), realtime.running(state, renderers), long_poll.running():
        yield
    await group_commit.close()
    await database.close()
    await client.aclose()
    if limiter is not None:
        await limiter.close()
