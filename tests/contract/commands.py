"""The command line: every command with its usage line, and each option with its names, type, limits and default."""

from collections.abc import Iterator
from typing import Any

import typer

from ticketing.cli import app


def lines() -> list[str]:
    return sorted(_lines(typer.main.get_command(app), None, "ticketing"))


def _lines(command: Any, parent: Any, name: str) -> Iterator[str]:
    context = typer.Context(command, info_name=name, parent=parent)
    path = context.command_path
    yield " ".join(command.get_usage(context).split()).replace("Usage:", "usage")
    for position, parameter in enumerate(p for p in command.params if p.param_type_name == "argument"):
        yield f"argument {path} {position + 1} {_shape(parameter)}"
    for parameter in command.params:
        if parameter.param_type_name != "argument":
            yield f"option {path} {' '.join(sorted(parameter.opts + parameter.secondary_opts))} {_shape(parameter)}"
    for sub_name, sub_command in getattr(command, "commands", {}).items():
        yield from _lines(sub_command, context, sub_name)


def _shape(parameter: Any) -> str:
    annotation = parameter.type_descriptor.annotation
    said = [getattr(annotation, "__name__", str(annotation)), f"default={parameter.default!r}"]
    said += [f"{name}={value}" for name in ("min", "max") if (value := getattr(parameter, name, None)) is not None]
    said += [name for name in ("required", "multiple", "is_flag", "hidden") if getattr(parameter, name, False)]
    return " ".join(said)
