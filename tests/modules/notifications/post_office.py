"""A real mail server on a free port: it takes letters, or refuses them in the words that a test puts in its mouth."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern
from functools import partial
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class Box:
    """What a server has taken. `answers` are given first, one a try, at the stage that they name."""

    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    tries: int = 0
    at_recipient: list[str] = field(default_factory=list)
    at_sender: list[str] = field(default_factory=list)
    at_data: list[str] = field(default_factory=list)
    log_ins: list[tuple[str, str, bool]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        self.tries += 1
        envelope.mail_from, envelope.mail_options = address, options
        return self.at_sender.pop(0) if self.at_sender else "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        envelope.rcpt_tos.append(address)
        return self.at_recipient.pop(0) if self.at_recipient else "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.at_data:
            return self.at_data.pop(0)
        assert isinstance(envelope.content, bytes)
        self.letters.append(message_from_bytes(envelope.content, policy=modern))  # type: ignore[arg-type]
        self.envelopes.append(envelope)
        return "250 OK"

    def check_log_in(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        given = data.login.decode(), data.password.decode()
        self.log_ins.append((*given, session.ssl is not None))
        return AuthResult(success=given == ("post", "p@ss/word"), handled=False)

    def to(self, email: str) -> list[EmailMessage]:
        """The letters to one person, oldest first."""
        return [letter for letter in self.letters if letter["To"] == email]


@asynccontextmanager
async def open_post_office(tls: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[Box]:
    """A server for as long as the block lasts; `tls` makes it speak TLS from the first byte."""
    box = Box()
    make = partial(
        SMTP, box, hostname="post.test", authenticator=box.check_log_in, **{"enable_SMTPUTF8": True} | options
    )
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0, ssl=tls)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        await server.wait_closed()


def words_of(letter: EmailMessage, kind: str = "plain") -> str:
    """The text of a letter, or its HTML."""
    part = letter.get_body((kind,))
    assert isinstance(part, EmailMessage)
    return str(part.get_content()).replace("\r\n", "\n")


def link_in(letter: EmailMessage) -> str:
    """The one link of a letter."""
    [link] = set(re.findall(r"https?://\S+", words_of(letter)))
    return str(link)


def secret_in(letter: EmailMessage) -> str:
    """What stands behind the `#` of its link."""
    return link_in(letter).partition("#")[2]
