"""The text of an error in a dead letter names the error itself, whatever library it comes from."""

from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import DataError

from ticketing.infra.bus.error_text import ERROR_CHARACTERS_MAX, TRACEBACK_CHARACTERS_MAX, first_line, format_error


class Bell(BaseModel):
    bell_id: int
    times: int


def text_of(error: BaseException) -> str:
    try:
        raise error
    except BaseException as raised:
        return format_error(raised)


def test_an_invalid_message_is_described_by_its_fields_and_not_by_their_values() -> None:
    try:
        Bell.model_validate({"bell_id": "secret".upper()})
    except ValidationError as error:
        text = format_error(error)
    assert first_line(text) == (
        "pydantic.ValidationError: Bell: bell_id: Input should be a valid integer, unable to parse string as an integer"
        "; times: Field required"
    )
    assert "SECRET" not in text
    assert "errors.pydantic.dev" not in text
    assert "test_error_text.py" in text, "the traceback is kept"


def test_the_links_of_sqlalchemy_are_left_out() -> None:
    text = text_of(DataError("select %s", {}, Exception("value out of range")))
    assert "sqlalche.me" not in text
    assert first_line(text).endswith("value out of range")


def test_the_first_line_is_that_of_the_last_error_in_a_chain() -> None:
    try:
        try:
            raise KeyError("cause")
        except KeyError as cause:
            raise ValueError("the order is unknown\nand more") from cause
    except ValueError as error:
        text = format_error(error)
    assert first_line(text) == "ValueError: the order is unknown"
    assert first_line("Traceback:\nKeyError: 'printer'") == "KeyError: 'printer'"
    assert first_line("") == ""


def test_a_text_is_bounded_and_can_be_stored() -> None:
    text = text_of(ValueError("\0 \ud800 ada@example.com" + "x" * 1_000_000))
    assert len(text) <= TRACEBACK_CHARACTERS_MAX + ERROR_CHARACTERS_MAX
    assert first_line(text).startswith("ValueError: \ufffd ? [address]")
    text.encode()
