"""What schemathesis makes of the document: single calls, good and bad by the schema, and chains along its links."""

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

#: Bounded by its numbers, not by a clock, so that the same is tried on every machine: no deadline and no health check,
#: which speak of slow generation; nothing from earlier runs, and nothing that is new each time.
BOUNDED = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    stateful_step_count=12,
)
#: Chains that share a generator.
BATCH = 3
CONFIG = {
    "seed": SEED,
    # Who calls is our business; the links are those of the document alone.
    "generation": {"with-security-parameters": False},
    # Any refusal will do, and patience with it: an address may be too long before anything of it is read.
    "checks": {"negative_data_rejection": {"expected-statuses": ["4xx", "503"]}},
    "phases": {"stateful": {"inference": {"algorithms": []}}},
}


@lru_cache(maxsize=1)
def schema() -> BaseSchema:
    """The document, without the one route that does not end."""
    loaded = schemathesis.openapi.from_dict(document(), config=Config.from_dict(CONFIG))
    method, path = STREAM.split()
    return loaded.exclude(method=method, path_regex=f"{path.replace('{', '.').replace('}', '.')}$")


def operation_of(route: Route) -> APIOperation:
    return schema()[route.path][route.method]


def try_route(caller: Caller, route: Route, number: int) -> None:
    """So many calls that fit the schema, and so many that don't. Raises what is wrong with an answer."""
    operation = operation_of(route)
    takes_something = bool(operation.body or operation.path_parameters or operation.query)
    for mode in GenerationMode if takes_something else [GenerationMode.POSITIVE]:

        @settings(BOUNDED, max_examples=number)
        @given(case=operation.as_strategy(generation_mode=mode), rng=st.randoms(use_true_random=False))
        def try_one(case: Case[Any], rng: Random) -> None:
            caller.call(case, Random(rng.getrandbits(64)))

        # Some routes take any text, and have no call that does not fit.
        with suppress(Unsatisfiable) if mode is GenerationMode.NEGATIVE else nullcontext():
            try_one()


def run_chains(caller: Caller, number: int) -> None:
    """So many chains of calls, each going on with what the one before has made."""

    class Chain(schema().as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            self.rng = Random(SEED)

        def call(self, case: Case[Any], **_: Any) -> Response:
            answer = caller.call(case, self.rng)
            count("of them in chains, along the links of the document")
            return Response.from_any(answer)

        def validate_response(self, response: Response, case: Case[Any], *_: Any, **__: Any) -> None:
            """The caller has judged it."""

    for batch in range(number // BATCH):
        # What a call answers depends on those of earlier chains, which Hypothesis takes for a fault of the generator
        # and ends the batch; the next one starts afresh. What is wrong with an answer is another exception.
        with suppress(FlakyStrategyDefinition):
            seed(SEED + batch)(Chain).run(settings=settings(BOUNDED, max_examples=BATCH))
