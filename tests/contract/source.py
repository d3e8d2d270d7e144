"""Names read from the source text: variables, log events, alerts, make targets and entry points."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ticketing.infra.config import Settings

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "ticketing"


def environment() -> list[str]:
    """Variables read past the settings, and those that only docker compose reads."""
    read = re.compile(r"""os\.environ(?:\.\w+\(|\[)"([A-Z_]+)"|"([A-Z_]+)" (?:not )?in os\.environ""")
    in_code = {a or b for path in SOURCE.rglob("*.py") for a, b in read.findall(path.read_text())}
    in_compose = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))
    in_example = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    mine = {name.upper() for name in Settings.model_fields}
    return sorted(f"variable {name}" for name in (in_code | in_compose | in_example) - mine)


def log_events() -> list[str]:
    """Events of the log that docs/operations.md tells operators to look for."""
    documented = set(re.findall(r"\w+", (ROOT / "docs" / "operations.md").read_text()))
    return sorted({f"log event {event}" for path in SOURCE.rglob("*.py") for event in _events(path) & documented})


def _events(path: Path) -> set[str]:
    levels = {"debug", "info", "warning", "error", "exception", "critical"}
    return {first for name, first, *_ in _calls(path) if name in levels and isinstance(first, str)}


def alerts() -> list[str]:
    """Alerts of `/health/alerts`, which dashboards and pagers name, with their thresholds."""
    found = [values for path in SOURCE.rglob("*.py") for name, *values in _calls(path) if name == "Alert"]
    return sorted(f"alert {name} above {threshold} {unit}" for name, threshold, unit, *_ in found)


def _calls(path: Path) -> Iterator[list[Any]]:
    """Every call with arguments: the function's last name, then its arguments; None for what is not a constant."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            yield [name, *(arg.value if isinstance(arg, ast.Constant) else None for arg in node.args)]


def commands_of_make() -> list[str]:
    targets = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return sorted(f"make {target}" for target in targets)


def entry_points() -> list[str]:
    """What deployments name: the console script, and modules that are run or served."""
    script = re.findall(r'^(\w+) = "(ticketing\.\w+):(\w+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    served = [(":".join(name), *name) for name in [("ticketing.main", "create_app"), ("ticketing.cli", "app")]]
    there = [
        said
        for said, module, name in [*script, *served]
        if callable(getattr(importlib.import_module(module), name, None))
    ]
    runnable = any((SOURCE / path).exists() for path in ("cli.py", "cli/__main__.py"))
    return sorted([f"entry point {said}" for said in there] + ["python -m ticketing.cli"] * runnable)
