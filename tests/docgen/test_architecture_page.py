"""docs/architecture.md shows the modules as they import each other, and a hold's way through code that exists."""

import re
from collections.abc import Iterable

import pytest

from ticketing.docgen import hold_path, module_graph
from ticketing.docgen.architecture_page import render
from ticketing.docgen.codebase import SOURCE
from ticketing.docgen.hold_path import STEPS, Script

SCRIPTS = [code for step in STEPS for code in step.code if isinstance(code, Script)]


def nodes_and_ends(picture: Iterable[str]) -> tuple[set[str], set[str]]:
    lines = list(picture)
    nodes = {match[1] for line in lines if (match := re.match(r"\s+(?:subgraph )?(\w+)(?:\s*\[.*)?$", line))}
    ends = {end for line in lines if (match := re.match(r"\s+(\w+) --> (\w+)$", line)) for end in match.groups()}
    return nodes - {"end"}, ends


def test_every_module_is_in_the_picture_with_its_purpose() -> None:
    modules = {path.parent.name for path in (SOURCE / "modules").glob("*/__init__.py")}
    assert set(module_graph.module_calls()) == modules
    for module in modules:
        assert re.search(rf"^\| `{module}` \| \S", render(), re.MULTILINE)


def test_calls_are_read_from_the_imports() -> None:
    calls = module_graph.module_calls()
    assert "events" in calls["reservations"]
    assert calls["health"] == set()
    assert module_graph.room_calls()["infra"] == set()
    assert {"modules", "infra"} <= module_graph.room_calls()["workers"]


def test_the_picture_reaches_what_the_imports_reach() -> None:
    for graph in (module_graph.module_calls(), module_graph.room_calls()):
        drawn = module_graph.reduced(graph)
        for start in graph:
            assert module_graph.reach(drawn, start) == module_graph.reach(graph, start)


def test_an_arrow_that_follows_from_others_is_left_out() -> None:
    assert module_graph.reduced({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": {"b"}, "b": {"c"}, "c": set()}


@pytest.mark.parametrize("draw", [module_graph.picture, hold_path.picture])
def test_arrows_join_what_is_drawn(draw: object) -> None:
    assert callable(draw)
    nodes, ends = nodes_and_ends(draw())
    assert ends <= nodes
    assert len(ends) > 10
    assert not nodes & {"click", "class", "style", "default", "graph", "end"}, "Mermaid reads these as keywords"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_has_the_names_that_the_page_gives(script: Script) -> None:
    class_name, _, method = script.name.partition(".")
    text = (SOURCE / "web" / script.file).read_text()
    assert re.search(rf"^export class {class_name}\b", text, re.MULTILINE)
    assert not method or re.search(rf"^  (async )?{method}\(", text, re.MULTILINE)


def test_steps_lead_from_the_request_to_the_screen() -> None:
    ids = [step.id for step in STEPS]
    assert len(ids) == len(set(ids))
    for number, step in enumerate(STEPS):
        assert set(step.after) <= set(ids[:number])
    ends = {before for step in STEPS for before in step.after}
    assert [one for one in ids if one not in ends] == ["response", "screen"]


def test_code_is_named_by_file_and_name() -> None:
    assert hold_path.name_of(hold_path.Batch.run).startswith("[`Batch.run`](../src/ticketing/modules/reservations/")
    links = re.findall(r"\]\(\.\./src/ticketing/([^)]+)\)", render())
    assert len(links) > 20
    assert [link for link in links if not (SOURCE / link).exists()] == []
