"""An SMTP server on a free port. It accepts emails, or refuses them with the replies that a test prepares."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern
from functools import partial
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class SmtpServer:
    """What the server has received. Replies prepared in `at_sender`, `at_recipient` and `at_data` are used first."""

    port: int = 0
    emails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    tries: int = 0
    at_recipient: list[str] = field(default_factory=list)
    at_sender: list[str] = field(default_factory=list)
    at_data: list[str] = field(default_factory=list)
    logins: list[tuple[str, str, bool]] = field(default_factory=list)
    #: Awaited between accepting an email and the reply.
    before_reply: Callable[[], Awaitable[object]] | None = None

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
        self.emails.append(message_from_bytes(envelope.content, policy=modern))  # type: ignore[arg-type]
        self.envelopes.append(envelope)
        if self.before_reply is not None:
            await self.before_reply()
        return "250 OK"

    def check_login(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        given = data.login.decode(), data.password.decode()
        self.logins.append((*given, session.ssl is not None))
        return AuthResult(success=given == ("post", "p@ss/word"), handled=False)

    def to(self, email: str) -> list[EmailMessage]:
        """Return the emails to one address, oldest first."""
        return [message for message in self.emails if message["To"] == email]


@asynccontextmanager
async def open_smtp_server(tls: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[SmtpServer]:
    """Run a server during the block. With `tls` it uses TLS from the first byte."""
    smtp = SmtpServer()
    make = partial(
        SMTP, smtp, hostname="post.test", authenticator=smtp.check_login, **{"enable_SMTPUTF8": True} | options
    )
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0, ssl=tls)
    smtp.port = server.sockets[0].getsockname()[1]
    try:
        yield smtp
    finally:
        server.close()
        await server.wait_closed()


def body_of(email: EmailMessage, kind: str = "plain") -> str:
    """Return the text of an email, or its HTML."""
    part = email.get_body((kind,))
    assert isinstance(part, EmailMessage)
    return str(part.get_content()).replace("\r\n", "\n")


def link_in(email: EmailMessage) -> str:
    """Return the only link of an email."""
    [link] = set(re.findall(r"https?://\S+", body_of(email)))
    return str(link)


def token_in(email: EmailMessage) -> str:
    """Return the token after the `#` of the email's link."""
    return link_in(email).partition("#")[2]
