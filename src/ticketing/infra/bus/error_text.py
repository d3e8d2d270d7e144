"""The text of an error in a dead letter: the end of its traceback, then the error itself, without row values."""

import traceback

from pydantic import ValidationError

from ticketing.infra import log

TRACEBACK_CHARACTERS_MAX = 6000
ERROR_CHARACTERS_MAX = 2000
#: Fields that a text about an invalid message names.
FIELDS_MAX = 5

#: What SQLAlchemy and pydantic append to their errors.
_ADVERTS = ("(Background on this error at:", "For further information visit ")


def format_error(error: BaseException) -> str:
    """The error with the end of its traceback. Never raises: an error may be as malformed as its message."""
    try:
        whole = traceback.format_exception(error, limit=-5)
        frames = "".join(whole[: -len(traceback.format_exception_only(error))])[-TRACEBACK_CHARACTERS_MAX:]
        text = frames + describe(error)[:ERROR_CHARACTERS_MAX]
    except Exception as failure:
        text = f"{type(error).__name__}, which can't be printed ({type(failure).__name__})"
    # NUL is the only character that Postgres can't store; a lone surrogate can't be sent.
    return log.redact(text).replace("\0", "\ufffd").encode(errors="replace").decode()


def describe(error: BaseException) -> str:
    """The error itself: its type and message, without links to the documentation of libraries."""
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    if isinstance(error, ValidationError):
        return f"pydantic.ValidationError: {_describe_fields(error)}"
    lines = [line for line in str(error).splitlines() if not line.strip().startswith(_ADVERTS)]
    return f"{name}: {chr(10).join(lines)}" if lines else name


def _describe_fields(error: ValidationError) -> str:
    """Each wrong field and what is wrong with it, without its value."""
    wrong = error.errors(include_url=False, include_context=False, include_input=False)
    texts = [f"{'.'.join(map(str, one['loc'])) or 'the whole'}: {one['msg']}" for one in wrong[:FIELDS_MAX]]
    more = len(wrong) - len(texts)
    return f"{error.title}: {'; '.join(texts)}" + (f"; and {more} more" if more else "")


def first_line(text: str) -> str:
    """The error itself, out of a text with its traceback: the first line behind the last frame."""
    lines = text.strip().splitlines()
    begins = max((number for number, line in enumerate(lines) if line.startswith("Traceback")), default=-1)
    lines = lines[begins + 1 :]
    while len(lines) > 1 and lines[0].startswith("  "):
        lines.pop(0)
    return lines[0].strip() if lines else ""
