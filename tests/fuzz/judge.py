"""What every answer has to be, whatever was asked."""

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
def no_fault_of_our_own(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """No 5xx, but for a 503 that says when to come back, and one that tells how something else is."""
    is_about_others = case.path.startswith("/health")
    is_told = response.status_code == 503 and ("retry-after" in response.headers or is_about_others)
    if response.status_code >= 500 and not is_told:
        message = f"{response.status_code} {response.text[:500]}"
        raise Failure(operation=case.operation.label, title="Our own fault", message=message)


CHECKS = [
    no_fault_of_our_own,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    negative_data_rejection,
]
"""Of schemathesis' own checks the others are left out: they send requests of their own, past the bridge, for what
tests/sweeps asks of every route (no log-in, another's log-in, unknown methods), or expect that what fits the schema is
never refused, which cannot be true of a seat that is taken."""


def judge(route: Route, case: Case[Any], response: httpx2.Response) -> None:
    """Raises when the answer is not as the document says, or tells too much."""
    case.validate_response(response, checks=CHECKS)
    if response.is_error:
        # Bad health is told with all of its data, and is no refusal; tests/health reads it.
        if not case.path.startswith("/health"):
            check_refusal(response)
        assert not LEAKS.search(response.text), f"{case!r}: {response.text[:500]}"
    elif response.is_success:
        check_success(route, response)
