"""Health, alerts and metrics, at the root: for load balancers, orchestrators, Prometheus and the people on call."""

import hmac
from typing import Annotated, Any, cast

import orjson
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from sqlalchemy.pool import QueuePool

from ticketing.infra import app_state, log, metrics, security
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.errors import Unauthenticated
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.infra.http.server import Shutdown
from ticketing.modules.health.checks import Status
from ticketing.modules.health.monitor import HealthMonitor
from ticketing.modules.health.schemas import AlertOut, AlertsOut, CheckOut, LiveOut, ReadyOut

router = APIRouter(tags=["Operations"])


async def _monitor(request: Request) -> HealthMonitor:
    return app_state.of(request.app).get(HealthMonitor)


Monitor = Annotated[HealthMonitor, Depends(_monitor)]


async def _is_operator(request: Request) -> bool:
    """Whether the request has OPERATIONS_TOKEN. Without that setting: anyone in development, no one in production."""
    settings = app_state.of(request.app).get(Settings)
    expected = settings.operations_token.get_secret_value()
    if not expected:
        return settings.environment != "production"
    scheme, token = security.authorization(request)
    return scheme == "bearer" and hmac.compare_digest(token.encode(), expected.encode())


IsOperator = Annotated[bool, Depends(_is_operator)]


@router.get("/health/live")
async def get_live() -> Envelope[LiveOut]:
    """200 while this process can respond at all. When this probe fails, restart the process."""
    return envelope(LiveOut())


@router.get("/health/ready", response_model=Envelope[ReadyOut])
async def get_ready(monitor: Monitor, request: Request) -> Response:
    """503 while requests can't be served, and before the process stops. Without Redis or the bus: `degraded`, 200."""
    return _ready(await _all(monitor), app_state.of(request.app).get(Shutdown).is_draining)


@router.get("/health", response_model=Envelope[ReadyOut])
async def get_health(monitor: Monitor, request: Request) -> Response:
    """The same as `/health/ready`, under the name that people try first."""
    return await get_ready(monitor, request)


@router.get("/health/db", response_model=Envelope[CheckOut])
async def get_database(monitor: Monitor) -> Response:
    """Whether Postgres responds, on a dedicated connection."""
    return await _one(monitor, "database")


@router.get("/health/cache", response_model=Envelope[CheckOut])
async def get_cache(monitor: Monitor) -> Response:
    """Whether Redis or Valkey responds."""
    return await _one(monitor, "cache")


@router.get("/health/bus", response_model=Envelope[CheckOut])
async def get_bus(monitor: Monitor) -> Response:
    """Whether messages travel: the log's readers are active, or the Kafka broker responds."""
    return await _one(monitor, "bus")


@router.get("/health/alerts", response_model=Envelope[AlertsOut])
async def get_alerts(monitor: Monitor, is_operator: IsOperator) -> Response:
    """503 while an alert fires. Subjects, such as an order's reference, are null without the operations token."""
    readings = [AlertOut.model_validate(reading) for reading in await monitor.alerts()]
    if not is_operator:
        readings = [reading.model_copy(update={"subject": None}) for reading in readings]
    firing = [f"{reading.name} is firing" for reading in readings if reading.firing]
    return _response(AlertsOut(alerts=readings), firing, "alert_firing")


@router.get("/metrics", response_class=PlainTextResponse)
async def get_metrics(request: Request, monitor: Monitor, is_operator: IsOperator) -> Response:
    """Metrics in the Prometheus text format, at most a second old. Requires the operations token where one is set."""
    if not is_operator:
        raise Unauthenticated("Send the value of OPERATIONS_TOKEN as a bearer token.")
    _measure_pool(app_state.of(request.app).get(Database))
    return Response(await monitor.metrics(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _measure_pool(database: Database) -> None:
    pool = cast(QueuePool, database.engine.pool)
    metrics.DB_POOL.labels("in_use").set(pool.checkedout())
    metrics.DB_POOL.labels("idle").set(pool.checkedin())


async def _all(monitor: HealthMonitor) -> dict[str, CheckOut]:
    return {name: CheckOut.model_validate(finding) for name, finding in (await monitor.check_all()).items()}


async def _one(monitor: HealthMonitor, name: str) -> Response:
    check = CheckOut.model_validate(await monitor.check(name))
    return _response(check, [] if check.status is Status.OK else [f"{name} is {check.status}"])


def _ready(checks: dict[str, CheckOut], is_draining: bool) -> Response:
    down = [f"{name} is down" for name, check in checks.items() if check.status is Status.DOWN]
    if is_draining:
        return _response(ReadyOut(status="not_ready", checks=checks), ["the process is stopping"], "shutting_down")
    status = "ready" if all(check.status is Status.OK for check in checks.values()) else "degraded"
    return _response(ReadyOut(status="not_ready" if down else status, checks=checks), down)


def _response(data: BaseModel, problems: list[str], code: str = "dependency_down") -> Response:
    """A success, or a 503 that carries the same data: the details matter most when something is down."""
    if not problems:
        return _json(200, envelope(data).model_dump(mode="json"))
    body = {
        "success": False,
        "message": "; ".join(problems).capitalize() + ".",
        "data": data.model_dump(mode="json"),
        "errors": [{"code": code, "message": problem} for problem in problems],
        "meta": {"correlation_id": log.correlation_id.get()},
    }
    return _json(503, body)


def _json(status: int, body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")
