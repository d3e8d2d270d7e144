"""For load balancers, schedulers and the people on call; everything here is at the root and answers at once."""

from typing import Annotated, Any, cast

import orjson
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from sqlalchemy.pool import QueuePool

from ticketing.infra import app_state, log, metrics
from ticketing.infra.db import Database
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.modules.health.checks import Status
from ticketing.modules.health.monitor import Checkup
from ticketing.modules.health.schemas import AlertOut, AlertsOut, CheckOut, LiveOut, ReadyOut

router = APIRouter(tags=["Operations"])


async def _checkup(request: Request) -> Checkup:
    return app_state.of(request.app).get(Checkup)


OurCheckup = Annotated[Checkup, Depends(_checkup)]


@router.get("/health/live")
async def get_live() -> Envelope[LiveOut]:
    """200 for as long as this process can answer at all; a probe that fails here means: restart it."""
    return envelope(LiveOut())


@router.get("/health/ready", response_model=Envelope[ReadyOut])
async def get_ready(checkup: OurCheckup) -> Response:
    """503 while requests can't be served. Redis or the bus being away is told as degraded, and is not a reason."""
    return _ready(await _all(checkup))


@router.get("/health", response_model=Envelope[ReadyOut])
async def get_health(checkup: OurCheckup) -> Response:
    """The same, under the name that people try first."""
    return _ready(await _all(checkup))


@router.get("/health/db", response_model=Envelope[CheckOut])
async def get_database(checkup: OurCheckup) -> Response:
    """Postgres answers, on a connection of its own."""
    return await _one(checkup, "database")


@router.get("/health/cache", response_model=Envelope[CheckOut])
async def get_cache(checkup: OurCheckup) -> Response:
    """Redis or Valkey answers."""
    return await _one(checkup, "cache")


@router.get("/health/bus", response_model=Envelope[CheckOut])
async def get_bus(checkup: OurCheckup) -> Response:
    """Messages travel: the readers of the log are at it, or the Kafka broker answers."""
    return await _one(checkup, "bus")


@router.get("/health/alerts", response_model=Envelope[AlertsOut])
async def get_alerts(checkup: OurCheckup) -> Response:
    """503 while there is something that a person has to look at."""
    readings = [AlertOut.model_validate(reading) for reading in await checkup.alerts()]
    firing = [f"{reading.name} is firing" for reading in readings if reading.firing]
    return _answer(AlertsOut(alerts=readings), firing, "alert_firing")


@router.get("/metrics", response_class=PlainTextResponse)
async def get_metrics(request: Request) -> Response:
    """Prometheus text."""
    _measure_pool(app_state.of(request.app).get(Database))
    return Response(metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _measure_pool(database: Database) -> None:
    pool = cast(QueuePool, database.engine.pool)
    metrics.DB_POOL.labels("in_use").set(pool.checkedout())
    metrics.DB_POOL.labels("idle").set(pool.checkedin())


async def _all(checkup: Checkup) -> dict[str, CheckOut]:
    return {name: CheckOut.model_validate(finding) for name, finding in (await checkup.check_all()).items()}


async def _one(checkup: Checkup, name: str) -> Response:
    check = CheckOut.model_validate(await checkup.check(name))
    return _answer(check, [] if check.status is Status.OK else [f"{name} is {check.status}"])


def _ready(checks: dict[str, CheckOut]) -> Response:
    down = [f"{name} is down" for name, check in checks.items() if check.status is Status.DOWN]
    status = "ready" if all(check.status is Status.OK for check in checks.values()) else "degraded"
    return _answer(ReadyOut(status="not_ready" if down else status, checks=checks), down)


def _answer(data: BaseModel, complaints: list[str], code: str = "dependency_down") -> Response:
    """The envelope of a success, or of a refusal that carries the same data: it is most wanted when things are bad."""
    if not complaints:
        return _json(200, envelope(data).model_dump(mode="json"))
    body = {
        "success": False,
        "message": "; ".join(complaints).capitalize() + ".",
        "data": data.model_dump(mode="json"),
        "errors": [{"code": code, "message": complaint} for complaint in complaints],
        "meta": {"correlation_id": log.correlation_id.get()},
    }
    return _json(503, body)


def _json(status: int, body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")
