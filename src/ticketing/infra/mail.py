"""Letters leave through here: by SMTP, or to a developer's terminal when no server is set.

What fails is told apart by whose fault it is. A server that is away or not in order is an outage, and the letter waits;
a server that can't take this letter just now makes it a failed try; one that never will is taken at its word.
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
from typing import Protocol
from urllib.parse import unquote, urlsplit
from uuid import UUID

from aiosmtplib import SMTP, SMTPDataError, SMTPException, SMTPNotSupported, SMTPRecipientsRefused
from email_validator import EmailNotValidError

from ticketing.infra import log, metrics
from ticketing.infra.bus import Retry
from ticketing.infra.config import Settings
from ticketing.infra.email_addresses import address_of, domain_of, one_line

#: For each command, and for the whole letter: a server that answers a byte a minute must not stop the post.
COMMAND_SECONDS = 10.0
LETTER_SECONDS = 60.0
#: RFC 5321 §3.8: the server closes the connection after this one, whatever was said.
CLOSING = 421

_log = log.get_logger(__name__)


class LetterDeferred(Exception):
    """The server can't take this letter at the moment, though it takes others; the text is its code."""


@dataclass(frozen=True, slots=True)
class Enclosure:
    """A file that travels with a letter."""

    content: bytes
    media_type: str
    name: str


@dataclass(frozen=True, slots=True)
class Letter:
    """What is to be sent, to one person. `kind` is for the metric; `enclose` is asked only when it is posted."""

    kind: str
    to: str
    subject: str
    text: str
    html: str
    enclose: Callable[[], Awaitable[Enclosure]] | None = None


class Mailer(Protocol):
    """Whoever takes letters."""

    async def send(self, letter: Letter, letter_id: UUID) -> None:
        """Hand a letter over; the same id makes it the same letter, for servers that look.

        Raises:
            Retry: the server is away, or not in order: every letter would fare the same.
            LetterDeferred: it refuses this letter for the moment.
        """


def connect(settings: Settings) -> Mailer:
    """The post office that SMTP_URL names, or the terminal."""
    url = settings.smtp_url.get_secret_value()
    return PostOffice(url, settings.sender) if url else Terminal()


class PostOffice:
    """An SMTP server, with a connection of its own for each letter: letters are few, and idle connections get cut."""

    def __init__(self, url: str, sender: str) -> None:
        self._url, self._sender = urlsplit(url), sender

    async def send(self, letter: Letter, letter_id: UUID) -> None:
        try:
            message = await compose(letter, letter_id, self._sender)
            async with asyncio.timeout(LETTER_SECONDS):
                await self._hand_over(message, address_of(letter.to))
        except (SMTPRecipientsRefused, SMTPDataError, SMTPNotSupported, EmailNotValidError) as refusal:
            # `from None`: a server's own words often repeat the address, and a traceback ends up in a log.
            _judge(letter, letter_id, _code(refusal))
        except (SMTPException, OSError) as error:
            metrics.EMAILS.labels(letter.kind, "waits").inc()
            _log.warning("mail_server_away", error=type(error).__name__, code=getattr(error, "code", None))
            raise Retry("the mail server is away, or not in order") from None
        else:
            metrics.EMAILS.labels(letter.kind, "sent").inc()
            _log.info("letter_sent", kind=letter.kind, letter_id=str(letter_id))

    async def _hand_over(self, message: EmailMessage, to: str) -> None:
        client = self._client()
        try:
            await client.connect()
            await client.send_message(message, sender=parseaddr(self._sender)[1], recipients=[to])
            with suppress(SMTPException, OSError):  # the letter is theirs already
                await client.quit()
        finally:
            client.close()

    def _client(self) -> SMTP:
        is_tls, user = self._url.scheme == "smtps", self._url.username
        return SMTP(
            hostname=self._url.hostname,
            port=self._url.port or (465 if is_tls else 587),
            username=unquote(user) if user else None,
            password=unquote(self._url.password or "") if user else None,
            use_tls=is_tls,
            # Always when it is offered; a password never travels without it.
            start_tls=False if is_tls else (True if user else None),
            local_hostname=domain_of(self._sender),
            timeout=COMMAND_SECONDS,
        )


def _code(refusal: Exception) -> int:
    """The server's code: 4yz for now, 5yz for good (RFC 5321 §4.2.1)."""
    if isinstance(refusal, SMTPRecipientsRefused):
        return refusal.recipients[0].code
    # 553: the address is none, or has letters in it that this server does not know (no SMTPUTF8).
    return refusal.code if isinstance(refusal, SMTPDataError) else 553


def _judge(letter: Letter, letter_id: UUID, code: int) -> None:
    if code == CLOSING:
        metrics.EMAILS.labels(letter.kind, "waits").inc()
        raise Retry("the mail server is closing") from None
    outcome = "refused" if code >= 500 else "deferred"
    metrics.EMAILS.labels(letter.kind, outcome).inc()
    _log.warning(f"letter_{outcome}", kind=letter.kind, letter_id=str(letter_id), code=code)
    if outcome == "deferred":
        raise LetterDeferred(code) from None


class Terminal:
    """Prints letters for a developer to read: the one place where a link may be seen, and never in production."""

    async def send(self, letter: Letter, letter_id: UUID) -> None:
        line = f"{'-' * 20} a letter that was not sent, for SMTP_URL is not set {'-' * 20}"
        enclosed = "\n\n(with a file enclosed)" if letter.enclose else ""
        head = f"To: {letter.to}\nSubject: {one_line(letter.subject)}"
        sys.stdout.write(f"\n{line}\n{head}\n\n{letter.text.rstrip()}{enclosed}\n{'-' * len(line)}\n\n")
        sys.stdout.flush()
        metrics.EMAILS.labels(letter.kind, "printed").inc()


async def compose(letter: Letter, letter_id: UUID, sender: str) -> EmailMessage:
    """The message as it travels: plain words, the same as HTML, and what is enclosed."""
    message = EmailMessage(MAIL_POLICY)
    name, address = parseaddr(sender)
    message["From"] = _address(address, name)
    message["To"] = _address(address_of(letter.to))
    message["Subject"] = one_line(letter.subject)
    message["Date"] = datetime.now(UTC)
    message["Message-ID"] = f"<{letter_id}@{domain_of(sender)}>"
    # RFC 3834 §5: nobody's holiday greeting answers a machine.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    if letter.enclose is not None:
        file = await letter.enclose()
        main, _, sub = file.media_type.partition("/")
        message.add_attachment(file.content, maintype=main, subtype=sub, filename=file.name)
    return message


def _address(email: str, name: str = "") -> Address:
    local, _, domain = email.rpartition("@")
    return Address(name, local, domain)
