"""Validation of mail servers' URLs and of senders."""

import pytest
from pydantic import ValidationError

from ticketing.infra.config import Settings
from ticketing.infra.email_addresses import address_of, domain_of, is_mailbox, is_smtp_url, one_line


@pytest.mark.parametrize(
    "url",
    ["smtp://mail", "smtp://u:p%40x@mail.example.com:587", "smtps://u:p@mail:465", "smtp://[::1]:25", "smtp://m/"],
)
def test_a_url_of_a_mail_server_is_accepted(url: str) -> None:
    assert is_smtp_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.com",
        "http://mail",
        "smtp://",
        "smtp://mail:x",
        "smtp://mail:99999",
        "smtp://mail:0",
        "smtp://m?a=b",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    assert not is_smtp_url(url)
    with pytest.raises(ValidationError, match="must look like smtp"):
        Settings(smtp_url=url)


@pytest.mark.parametrize(
    "sender", ["a@example.com", "Some Name <a@example.com>", '"Name, Some" <a@example.com>', "Bühne <a@bücher.example>"]
)
def test_a_mailbox_is_accepted_as_sender(sender: str) -> None:
    assert is_mailbox(sender)


@pytest.mark.parametrize(
    "sender",
    ["a", "a@", "A <a>", "a@example.com, b@example.com", "a@example.com\nBcc: b@example.com", "<a@b.com> x"],
)
def test_other_senders_are_refused(sender: str) -> None:
    assert not is_mailbox(sender)
    with pytest.raises(ValidationError, match="must be an address"):
        Settings(mail_from=sender)


def test_an_address_is_converted_to_ascii() -> None:
    assert address_of("ada@BÜCHER.example") == "ada@xn--bcher-kva.example"
    assert domain_of("Some Name <post@tickets.example>") == "tickets.example"
    assert one_line(" Two\r\n\u2028 lines\x00\x85") == "Two lines"


def test_the_repr_of_settings_hides_the_mail_servers_password() -> None:
    assert "hunter2" not in repr(Settings(smtp_url="smtp://u:hunter2@mail"))
