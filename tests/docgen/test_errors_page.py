"""docs/errors.md has every code that the API can send."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ticketing.docgen import errors_page
from ticketing.docgen.codebase import SOURCE
from ticketing.infra.errors import TicketingError

PAGE = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \| (\d+) \| ([^|]*) \| (.+) \|$", PAGE, re.MULTILINE)


def literal_codes(tree: ast.AST) -> Iterator[str]:
    """Codes written down outside of the classes: `{"code": "…"}` in a response that is put together by hand."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "code" and isinstance(value, ast.Constant):
                    yield str(value.value)


def class_codes(tree: ast.AST) -> Iterator[str]:
    """Codes of classes as the source spells them: `code = "…"`, or `status, code = 409, "…"`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for line in node.body:
                if isinstance(line, ast.Assign):
                    target = ast.unparse(line.targets[0]).strip("()").split(", ")
                    values = line.value.elts if isinstance(line.value, ast.Tuple) else [line.value]
                    if "code" in target and isinstance(value := values[target.index("code")], ast.Constant):
                        yield str(value.value)


@pytest.mark.parametrize("kind", errors_page.kinds(), ids=lambda kind: kind.__name__)
def test_every_error_class_has_a_row(kind: type[TicketingError]) -> None:
    assert kind.__dict__.get("__doc__"), f"{kind.__name__} has no docstring, which is its message"
    assert (kind.code, str(kind.status), " ".join((kind.__doc__ or "").split())) in [(c, s, m) for c, s, _, m in ROWS]


def test_every_code_in_the_source_has_a_row() -> None:
    trees = [ast.parse(path.read_text()) for path in SOURCE.rglob("*.py")]
    by_hand = {code for tree in trees for code in literal_codes(tree)}
    by_class = {code for tree in trees for code in class_codes(tree)}
    assert by_hand >= {"invalid", "internal", "headers_too_large"}
    assert len(by_class) > 50
    assert (by_hand | by_class) - {code for code, *_ in ROWS} == set()


def test_every_status_of_the_http_layer_has_a_row() -> None:
    statuses = {(code, status) for code, status, _, _ in ROWS}
    for status, (code, _) in errors_page.HTTP_CODES.items():
        assert (code, str(status)) in statuses


def test_what_may_be_repeated_says_after_how_long() -> None:
    seconds = {code: retry for code, _, retry, _ in ROWS}
    assert seconds["overloaded"] == "1 s"
    assert seconds["dependency_down"] == "2 s"
    assert {retry for code, _, retry, _ in ROWS if code == "rate_limited"} == {"varies", "60 s", "5 s"}


def test_modules_come_in_their_order() -> None:
    headings = re.findall(r"^## `?([\w ]+)`?$", PAGE, re.MULTILINE)
    assert headings[0] == "Any request"
    assert headings.index("events") < headings.index("reservations") < headings.index("tickets")
