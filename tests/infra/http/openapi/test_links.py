"""Links of the OpenAPI document are derived from names, so that none is missing or wrong."""

import re
from collections.abc import Iterator
from typing import Any

from tests.sweeps.openapi.routes import all_routes

IDS = re.compile(r"{(\w+)}")


def links_of(route: str) -> dict[str, dict[str, Any]]:
    """Return the links of a response by the route that each points to."""
    names = {each.operation["operationId"]: name for name, each in all_routes().items()}
    links = all_routes()[route].operation["responses"]["201"].get("links", {})
    return {names[link["operationId"]]: link for link in links.values()}


def every_link() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, route in all_routes().items():
        if "201" in route.operation["responses"]:
            yield from ((name, target, link) for target, link in links_of(name).items())


def test_a_created_resource_links_to_every_operation_that_takes_its_id() -> None:
    order = links_of("POST /orders")
    assert order["GET /orders/{order_id}"]["parameters"] == {"order_id": "$response.body#/data/id"}
    assert order["POST /payments"]["requestBody"] == {"order_id": "$response.body#/data/id"}
    publish = links_of("POST /orgs/{org_id}/events")["POST /orgs/{org_id}/events/{event_id}/publish"]
    assert publish["parameters"] == {"org_id": "$request.path.org_id", "event_id": "$response.body#/data/id"}
    for maker, target in (
        ("POST /orgs", "POST /orgs/{org_id}/events"),
        ("POST /orgs/{org_id}/venues", "POST /orgs/{org_id}/events"),
        ("POST /orgs/{org_id}/events", "POST /reservations"),
        ("POST /reservations", "POST /orders"),
        ("POST /orgs/{org_id}/api-keys", "DELETE /orgs/{org_id}/api-keys/{key_id}"),
    ):
        assert target in links_of(maker)


def test_a_link_names_every_id_that_its_path_needs() -> None:
    links = list(every_link())
    assert len(links) > 40
    for source, target, link in links:
        assert link["parameters"].keys() == set(IDS.findall(target)), (source, target)
        taken = {each.rpartition(".")[2] for each in link["parameters"].values() if each.startswith("$request.path.")}
        assert taken <= set(IDS.findall(source)), (source, target)
        assert "$response.body#/data/id" in [*link["parameters"].values(), *link.get("requestBody", {}).values()]
