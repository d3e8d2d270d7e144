"""The OpenAPI document, and interactive documentation of it: no internet access, no inline scripts."""

import asyncio
from importlib.util import find_spec
from pathlib import Path

import orjson
from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse, Response

from ticketing.infra.errors import NotFound

FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; "
        "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    ),
    "Cache-Control": "no-cache",
}
FILE_HEADERS = {"Cache-Control": "public, max-age=3600"}
DOCUMENT_HEADERS = {"Cache-Control": "public, max-age=60"}

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Ticketing API</title>
<link rel="icon" href="/static-docs/favicon.png">
<link rel="stylesheet" href="/static-docs/swagger-ui.css">
</head>
<body>
<main id="docs"></main>
<script src="/static-docs/swagger-ui-bundle.js"></script>
<script src="/static-docs/start.js"></script>
</body>
</html>
"""
START = """'use strict';
SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#docs',
  deepLinking: true,
  layout: 'BaseLayout',
  presets: [SwaggerUIBundle.presets.apis],
});
"""


def install(app: FastAPI) -> None:
    """Add `/openapi.json`, and `/docs` with the files that it loads."""
    document: asyncio.Future[bytes] | None = None

    async def get_document() -> Response:
        # Generated once, in a thread: it takes about a second. Later requests get the same bytes.
        nonlocal document
        if document is None or document.cancelled():
            document = asyncio.ensure_future(asyncio.to_thread(lambda: orjson.dumps(app.openapi())))
        return Response(await asyncio.shield(document), media_type="application/json", headers=DOCUMENT_HEADERS)

    app.add_api_route("/openapi.json", get_document, include_in_schema=False)
    app.add_api_route("/docs", _page, include_in_schema=False)
    app.add_api_route("/static-docs/start.js", _start, include_in_schema=False)
    app.add_api_route("/static-docs/{name}", _file, include_in_schema=False)


async def _page() -> Response:
    return HTMLResponse(PAGE, headers=HEADERS)


async def _start() -> Response:
    return Response(START, media_type="text/javascript", headers=FILE_HEADERS)


async def _file(name: str) -> Response:
    if name not in FILES:
        raise NotFound
    return FileResponse(_folder() / name, media_type=FILES[name], headers=FILE_HEADERS)


def _folder() -> Path:
    # Importing the package would define its own application class; only its files are needed.
    spec = find_spec("fastapi_offline")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "static"
