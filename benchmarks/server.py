"""The application with one additional route: a no-op that takes the same request as a hold.

It is declared like any other route, next to the hold, and passes through the same middleware and the same rate-limit
class. The difference between a hold and the no-op is the cost of the hold itself.
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


class NoOpOut(Out):
    """The response of the no-op."""

    seats: int


async def no_op(buyer: iam.CurrentUser, key: IdempotencyKey, body: HoldSeats) -> Envelope[NoOpOut]:
    """Accept the request of a hold, and respond."""
    return envelope(NoOpOut(seats=len(body.seats)), "Nothing was done")


def create_app() -> FastAPI:
    """The application with the no-op. Raises ConfigurationError if the environment is invalid."""
    routes = reservations.router.routes
    if not any(getattr(route, "path", "") == NO_OP_PATH for route in routes):
        reservations.router.add_api_route(NO_OP_PATH, no_op, methods=["POST"], status_code=201)
        # Next to the hold, because routes are matched in order: a later one takes longer to find.
        beside = next(at for at, route in enumerate(routes) if getattr(route, "path", "") == HOLD_PATH)
        routes.insert(beside + 1, routes.pop())
    return main.create_app()


def serve(port: int) -> None:
    """Serve requests on a loopback port until SIGTERM, in one process, as `ticketing serve` does."""
    http_server.run("benchmarks.server:create_app", listen("127.0.0.1", port))


if __name__ == "__main__":
    serve(int(sys.argv[1]))
