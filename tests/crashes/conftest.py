"""Processes that die on purpose."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.crashes.stage import Stage
from ticketing.infra.config import Settings
from ticketing.infra.db import Database


@pytest.fixture
async def stage(settings: Settings, database: Database, tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(settings, database, tmp_path)
    yield stage
    await stage.close()
