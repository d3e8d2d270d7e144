"""A shorter way from a request to its route than the framework's, with the framework for everything unusual."""

from ticketing.infra.http.routing.prepared_route import PreparedRoute
from ticketing.infra.http.routing.route_table import RouteTable

__all__ = ["PreparedRoute", "RouteTable"]
