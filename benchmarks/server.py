"""The application with one route more: a no-op that asks for all that a hold asks for, and then does nothing.

It stands beside the hold, is declared as any route of ours is, and passes the same middlewares and the same lane of
limits: what a hold costs beyond it is the hold.
"""

import sys

from fastapi import FastAPI

from ticketing import main
from ticketing.infra.http import server as http_server
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.infra.http.fields import Out
from ticketing.infra.http.idempotency import IdempotencyKey
from ticketing.infra.system.ports import listen
from ticketing.modules import iam, reservations
from ticketing.modules.reservations.schemas import HoldSeats

HOLD_PATH, NO_OP_PATH = "/reservations", "/reservations/no-op"


class Nothing(Out):
    """What was done."""

    seats: int


async def do_nothing(buyer: iam.CurrentUser, key: IdempotencyKey, body: HoldSeats) -> Envelope[Nothing]:
    """Take what a hold takes, believe it, and answer."""
    return envelope(Nothing(seats=len(body.seats)), "Nothing was done")


def create_app() -> FastAPI:
    """The API and the pages, and the no-op. Raises ConfigurationError when the environment is wrong."""
    routes = reservations.router.routes
    if not any(getattr(route, "path", "") == NO_OP_PATH for route in routes):
        reservations.router.add_api_route(NO_OP_PATH, do_nothing, methods=["POST"], status_code=201)
        # Next to the hold: a route that comes later in the list is found later.
        beside = next(at for at, route in enumerate(routes) if getattr(route, "path", "") == HOLD_PATH)
        routes.insert(beside + 1, routes.pop())
    return main.create_app()


def serve(port: int) -> None:
    """Answer requests on a loopback port until SIGTERM, in one process, as `ticketing serve` does."""
    http_server.run("benchmarks.server:create_app", listen("127.0.0.1", port))


if __name__ == "__main__":
    serve(int(sys.argv[1]))
