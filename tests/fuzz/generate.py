"""Cases that schemathesis generates from the document: single calls, valid and invalid, and chains along its links."""

from contextlib import nullcontext, suppress
from functools import lru_cache
from random import Random
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import FlakyStrategyDefinition, Unsatisfiable
from schemathesis import Case, Config, GenerationMode, Response
from schemathesis.schemas import APIOperation, BaseSchema

from tests.fuzz.caller import Caller
from tests.fuzz.size import SEED, count
from tests.sweeps.openapi.routes import STREAM, Route, document

#: Limited by numbers, not by time, so that every machine runs the same cases: no deadline and no health checks, which
#: depend on the speed of generation; derandomized, and without a database of earlier failures.
BOUNDED = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    stateful_step_count=12,
)
#: Chains per generator.
BATCH = 3
CONFIG = {
    "seed": SEED,
    # The callers add the credentials. Links come from the document only.
    "generation": {"with-security-parameters": False},
    # Any 4xx is accepted, and a 503: a URL may be too long to be parsed.
    "checks": {"negative_data_rejection": {"expected-statuses": ["4xx", "503"]}},
    "phases": {"stateful": {"inference": {"algorithms": []}}},
}


@lru_cache(maxsize=1)
def schema() -> BaseSchema:
    """The document without the stream, which does not end."""
    loaded = schemathesis.openapi.from_dict(document(), config=Config.from_dict(CONFIG))
    method, path = STREAM.split()
    return loaded.exclude(method=method, path_regex=f"{path.replace('{', '.').replace('}', '.')}$")


def operation_of(route: Route) -> APIOperation:
    return schema()[route.path][route.method]


def try_route(caller: Caller, route: Route, number: int) -> None:
    """Send `number` calls that match the schema, and as many that do not. Raises if a response is wrong."""
    operation = operation_of(route)
    has_input = bool(operation.body or operation.path_parameters or operation.query)
    for mode in GenerationMode if has_input else [GenerationMode.POSITIVE]:

        @settings(BOUNDED, max_examples=number)
        @given(case=operation.as_strategy(generation_mode=mode), rng=st.randoms(use_true_random=False))
        def try_one(case: Case[Any], rng: Random) -> None:
            caller.call(case, Random(rng.getrandbits(64)))

        # Some routes accept any text, and have no invalid calls.
        with suppress(Unsatisfiable) if mode is GenerationMode.NEGATIVE else nullcontext():
            try_one()


def run_chains(caller: Caller, number: int) -> None:
    """Run `number` chains of calls, each of which uses the results of the calls before it."""

    class Chain(schema().as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            self.rng = Random(SEED)

        def call(self, case: Case[Any], **_: Any) -> Response:
            response = caller.call(case, self.rng)
            count("of them in chains, along the links of the document")
            return Response.from_any(response)

        def validate_response(self, response: Response, case: Case[Any], *_: Any, **__: Any) -> None:
            """Checked by the caller already."""

    for batch in range(number // BATCH):
        # Responses depend on the calls of earlier chains. Hypothesis reports this as a flaky strategy and ends the
        # batch; the next batch starts again. Wrong responses raise other exceptions.
        with suppress(FlakyStrategyDefinition):
            seed(SEED + batch)(Chain).run(settings=settings(BOUNDED, max_examples=BATCH))
