"""An application whose letters go to a real mail server."""

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from tests.modules.notifications.post_office import Box, open_post_office
from ticketing.infra.config import Settings


@pytest.fixture
async def box() -> AsyncIterator[Box]:
    async with open_post_office() as box:
        yield box


@pytest.fixture
def settings(settings: Settings, box: Box) -> Settings:
    return settings.model_copy(update={"smtp_url": SecretStr(box.url), "mail_from": "Tickets <post@tickets.test>"})
