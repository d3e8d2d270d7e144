"""Send emails by SMTP, or print them to the terminal when no server is set.

Failures fall into three classes. An unreachable or misconfigured server is an outage: the email is retried until it is
over. A temporary refusal of one email (4yz) counts as a failed try. A permanent refusal (5yz) is recorded and final.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as MAIL_POLICY
from email.utils import parseaddr
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit
from uuid import UUID

from aiosmtplib import SMTP, SMTPDataError, SMTPException, SMTPNotSupported, SMTPRecipientsRefused, SMTPResponse
from email_validator import EmailNotValidError

from ticketing.infra import log, metrics
from ticketing.infra.bus import Retry
from ticketing.infra.config import Settings
from ticketing.infra.email_addresses import address_of, domain_of, one_line
from ticketing.infra.system.outside_calls import assert_no_transaction

#: Timeouts of each command, and of all before the text of the email: a server that sends one byte a minute must not
#: block the others.
COMMAND_SECONDS = 10.0
ENVELOPE_SECONDS = 60.0
#: Timeout of the text and of the server's reply to it (RFC 5321 §4.5.3.2.6). A server may take minutes to accept an
#: email, and one that is not waited for accepts it again at each retry.
TEXT_SECONDS = 600.0
#: RFC 5321 §3.8: the server closes the connection after this one, whatever was said.
CLOSING = 421

_log = log.get_logger(__name__)


class EmailDeferred(Exception):
    """The server refuses this email temporarily, while it accepts others. The text is the status code."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file attached to an email. `media_type` may have parameters, as in `text/calendar; method=PUBLISH`."""

    content: bytes
    media_type: str
    name: str


@dataclass(frozen=True, slots=True)
class OutgoingEmail:
    """An email to one recipient. `kind` labels the metric. `make_attachment` is called only when the email is sent."""

    kind: str
    to: str
    subject: str
    text: str
    html: str
    make_attachment: Callable[[], Awaitable[Attachment]] | None = None


class Mailer(Protocol):
    """Sends emails."""

    async def send(self, email: OutgoingEmail, email_id: UUID) -> None:
        """Send an email. The id determines the Message-ID, by which servers may drop a duplicate.

        Raises:
            Retry: the server is unreachable or misconfigured, which affects every email.
            EmailDeferred: the server refuses this email temporarily.
        """


def connect(settings: Settings) -> Mailer:
    """Return the mailer for SMTP_URL, or the terminal when it is not set."""
    url = settings.smtp_url.get_secret_value()
    return SmtpMailer(url, settings.sender) if url else TerminalMailer()


class SmtpMailer:
    """Sends by SMTP, with one connection per email: emails are rare, and servers close idle connections."""

    def __init__(self, url: str, sender: str) -> None:
        self._url, self._sender = urlsplit(url), sender

    async def send(self, email: OutgoingEmail, email_id: UUID) -> None:
        assert_no_transaction("the SMTP client")
        try:
            message = await compose(email, email_id, self._sender)
            async with asyncio.timeout(ENVELOPE_SECONDS) as limit:
                await self._transmit(message, address_of(email.to), limit)
        except (SMTPRecipientsRefused, SMTPDataError, SMTPNotSupported, EmailNotValidError) as refusal:
            # `from None`: replies of servers often contain the address, and a traceback would log them.
            _record_refusal(email, email_id, _code(refusal))
        except (SMTPException, OSError) as error:
            metrics.EMAILS.labels(email.kind, "waits").inc()
            _log.warning("mail_server_away", error=type(error).__name__, code=getattr(error, "code", None))
            raise Retry("the mail server is unreachable or misconfigured") from None
        else:
            metrics.EMAILS.labels(email.kind, "sent").inc()
            _log.info("letter_sent", kind=email.kind, letter_id=str(email_id))

    async def _transmit(self, message: EmailMessage, to: str, limit: asyncio.Timeout) -> None:
        client = self._client(limit)
        try:
            await client.connect()
            await client.send_message(message, sender=parseaddr(self._sender)[1], recipients=[to])
            with suppress(SMTPException, OSError):  # the server has accepted the email already
                await client.quit()
        finally:
            client.close()

    def _client(self, limit: asyncio.Timeout) -> SMTP:
        is_tls, user = self._url.scheme == "smtps", self._url.username
        return _Client(
            limit,
            hostname=self._url.hostname,
            port=self._url.port or (465 if is_tls else 587),
            username=unquote(user) if user else None,
            password=unquote(self._url.password or "") if user else None,
            use_tls=is_tls,
            # Used whenever it is offered, and required when a password is sent.
            start_tls=False if is_tls else (True if user else None),
            local_hostname=domain_of(self._sender),
            timeout=COMMAND_SECONDS,
        )


class _Client(SMTP):
    """A client that waits for the reply to the text for TEXT_SECONDS, and for all other replies for its `timeout`."""

    def __init__(self, limit: asyncio.Timeout, **options: Any) -> None:
        """`limit` applies to everything before the text."""
        super().__init__(**options)
        self._limit = limit

    async def data(
        self,
        message: str | bytes,
        *,
        timeout: Any = None,  # noqa: ASYNC109 (the library's signature)
    ) -> SMTPResponse:
        self._limit.reschedule(asyncio.get_running_loop().time() + TEXT_SECONDS)
        return await super().data(message, timeout=TEXT_SECONDS)


def _code(refusal: Exception) -> int:
    """Return the status code: 4yz is a transient refusal, 5yz a permanent one (RFC 5321 §4.2.1)."""
    if isinstance(refusal, SMTPRecipientsRefused):
        return refusal.recipients[0].code
    # 553: the address is invalid, or has non-ASCII characters and the server lacks SMTPUTF8.
    return refusal.code if isinstance(refusal, SMTPDataError) else 553


def _record_refusal(email: OutgoingEmail, email_id: UUID, code: int) -> None:
    if code == CLOSING:
        metrics.EMAILS.labels(email.kind, "waits").inc()
        raise Retry("the mail server is closing") from None
    outcome = "refused" if code >= 500 else "deferred"
    metrics.EMAILS.labels(email.kind, outcome).inc()
    _log.warning(f"letter_{outcome}", kind=email.kind, letter_id=str(email_id), code=code)
    if outcome == "deferred":
        raise EmailDeferred(code) from None


class TerminalMailer:
    """Prints emails for development. It is the only place where a link is printed, and never used in production."""

    async def send(self, email: OutgoingEmail, email_id: UUID) -> None:
        assert_no_transaction("the terminal mailer")
        line = f"{'-' * 20} email not sent: SMTP_URL is not set {'-' * 20}"
        note = "\n\n(with an attachment)" if email.make_attachment else ""
        head = f"To: {email.to}\nSubject: {one_line(email.subject)}"
        sys.stdout.write(f"\n{line}\n{head}\n\n{email.text.rstrip()}{note}\n{'-' * len(line)}\n\n")
        sys.stdout.flush()
        metrics.EMAILS.labels(email.kind, "printed").inc()


async def compose(email: OutgoingEmail, email_id: UUID, sender: str) -> EmailMessage:
    """Build the MIME message: plain text, HTML, and the attachment."""
    message = EmailMessage(MAIL_POLICY)
    name, address = parseaddr(sender)
    message["From"] = _address(address, name)
    message["To"] = _address(address_of(email.to))
    message["Subject"] = one_line(email.subject)
    message["Date"] = datetime.now(UTC)
    message["Message-ID"] = f"<{email_id}@{domain_of(sender)}>"
    # RFC 3834 §5: suppresses automatic replies such as vacation notices.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(email.text)
    message.add_alternative(email.html, subtype="html")
    if email.make_attachment is not None:
        file = await email.make_attachment()
        media_type, *params = file.media_type.split("; ")
        main, _, sub = media_type.partition("/")
        named = dict(param.split("=", 1) for param in params)
        message.add_attachment(file.content, maintype=main, subtype=sub, filename=file.name, params=named)
    return message


def _address(email: str, name: str = "") -> Address:
    local, _, domain = email.rpartition("@")
    return Address(name, local, domain)
