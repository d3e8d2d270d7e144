"""Viewers that are closed at the end of the test."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from sse_starlette.sse import AppStatus

from tests.modules.realtime.live import Viewer, Watch, serve, until
from ticketing.modules.realtime.hub import Hub


@pytest.fixture
async def watch(app: FastAPI) -> AsyncIterator[Watch]:
    """Opens a viewer of a path of the running app."""
    viewers = []
    # A test that stops a server in this process ends the streams of all servers: the library's flag is never reset.
    AppStatus.should_exit = False
    await until(lambda: app.state.get(Hub).is_live)
    async with serve(app) as port:

        async def open_viewer(path: str, **headers: str) -> Viewer:
            viewers.append(await Viewer.open(port, path, **headers))
            return viewers[-1]

        yield open_viewer
        for viewer in viewers:
            viewer.leave()
