"""Constants of queries that partial indexes serve."""

from enum import StrEnum

from sqlalchemy import ColumnElement, Text, literal


def constant(value: StrEnum) -> ColumnElement[str]:
    """The value as a part of the statement's text, not as a parameter.

    A generic plan, which is made without the parameters' values, can't use a partial index whose condition names the
    value, and reads the whole table instead.
    """
    return literal(str(value), Text, literal_execute=True)
