"""Static files, read once at start-up and served under a URL that contains a hash of them all.

The hash makes every file immutable for browsers. Relative imports between ES modules stay within one version, so a
page never mixes modules of two deployments.
"""

import gzip
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

FOLDER = Path(__file__).parent
CONTENT_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
IMPORT = re.compile(r"""^(?:import|export)\s[^;]*?from\s+'(\.[^']+)'|^import\s+'(\.[^']+)'""", re.MULTILINE)


@dataclass(frozen=True)
class Asset:
    """One file, its gzip-compressed copy, and its strong ETag."""

    body: bytes
    gzipped: bytes
    content_type: str
    etag: str


class Assets:
    """All static files of a folder, in memory (about 200 kB)."""

    def __init__(self, folder: Path = FOLDER) -> None:
        paths = sorted(path for path in folder.rglob("*") if path.suffix in CONTENT_TYPES)
        self.files = {path.relative_to(folder).as_posix(): _read(path) for path in paths}
        everything = "".join(f"{name} {asset.etag}\n" for name, asset in self.files.items())
        self.version = hashlib.sha256(everything.encode()).hexdigest()[:12]
        self.prefix = f"/static/{self.version}"

    async def serve(self, request: Request) -> Response:
        """Serve `/static/{version}/{path}`.

        Another version than the current one gets the current file without caching: during a rolling deployment, a
        page of one version may request files from a process of another.
        """
        asset = self.files.get(request.path_params["path"])
        if asset is None:
            raise HTTPException(404)
        is_current = request.path_params["version"] == self.version
        headers = {
            "ETag": asset.etag,
            "Cache-Control": "public, max-age=31536000, immutable" if is_current else "no-cache",
            "Vary": "Accept-Encoding",
        }
        if asset.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(
                asset.gzipped, headers={**headers, "Content-Encoding": "gzip"}, media_type=asset.content_type
            )
        return Response(asset.body, headers=headers, media_type=asset.content_type)

    async def serve_icon(self, request: Request) -> Response:
        """Serve `/favicon.ico`, which browsers request on pages without an icon link."""
        icon = self.files["icon.svg"]
        return Response(icon.body, media_type=icon.content_type, headers={"Cache-Control": "public, max-age=86400"})

    def modules_of(self, entry: str) -> list[str]:
        """List `entry` and every module that it imports statically, directly or not, for preloading."""
        found: list[str] = []
        queue = [entry]
        while queue:
            name = queue.pop(0)
            if name in found or name not in self.files:
                continue
            found.append(name)
            queue += [_resolve(name, a or b) for a, b in IMPORT.findall(self.files[name].body.decode())]
        return found


def _read(path: Path) -> Asset:
    body = path.read_bytes()
    etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    # A fixed mtime makes the compressed bytes identical in all processes behind a load balancer.
    return Asset(body, gzip.compress(body, 9, mtime=0), CONTENT_TYPES[path.suffix], etag)


def _resolve(importer: str, target: str) -> str:
    parts: list[str] = []
    for part in (PurePosixPath(importer).parent / target).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)
