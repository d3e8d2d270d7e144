"""Checks that every response must pass, whatever the request."""

from typing import Any

import httpx2
import schemathesis
from schemathesis import Case, CheckContext, Response
from schemathesis.core.failures import Failure
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.sweeps.openapi.refusals import LEAKS
from tests.sweeps.openapi.routes import Route
from tests.sweeps.test_contract import check_refusal, check_success


@schemathesis.check
def no_server_error(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """No 5xx except a 503 with `Retry-After`, or of a health route."""
    is_health_route = case.path.startswith("/health")
    is_expected = response.status_code == 503 and ("retry-after" in response.headers or is_health_route)
    if response.status_code >= 500 and not is_expected:
        message = f"{response.status_code} {response.text[:500]}"
        raise Failure(operation=case.operation.label, title="Server error", message=message)


CHECKS = [
    no_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    negative_data_rejection,
]
"""The other checks of schemathesis are omitted: some send requests past the bridge to test what tests/sweeps tests for
every route (missing and foreign credentials, unknown methods), and some expect that a call that matches the schema is
never refused, which is wrong for a taken seat."""


def check_response(route: Route, case: Case[Any], response: httpx2.Response) -> None:
    """Check a response. Raises if it differs from the document, or leaks implementation details."""
    case.validate_response(response, checks=CHECKS)
    if response.is_error:
        # Health routes return their data with a 503, not an error body; tests/modules/health tests it.
        if not case.path.startswith("/health"):
            check_refusal(response)
        assert not LEAKS.search(response.text), f"{case!r}: {response.text[:500]}"
    elif response.is_success:
        check_success(route, response)
