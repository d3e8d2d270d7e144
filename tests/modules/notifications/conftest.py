"""An application that sends its emails to an SMTP server in this process."""

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from tests.modules.notifications.smtp_server import SmtpServer, open_smtp_server
from ticketing.infra.config import Settings


@pytest.fixture
async def smtp() -> AsyncIterator[SmtpServer]:
    async with open_smtp_server() as smtp:
        yield smtp


@pytest.fixture
def settings(settings: Settings, smtp: SmtpServer) -> Settings:
    return settings.model_copy(update={"smtp_url": SecretStr(smtp.url), "mail_from": "Tickets <post@tickets.test>"})
