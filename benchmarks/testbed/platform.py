"""A new platform, started with `ticketing up`, for benchmarks that use only its public API."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ticketing.infra.system.ports import free_port
from ticketing.infra.system.processes import wait_for

READY_SECONDS = 120
#: Settings for loads in which one account holds much, and the same seats again. The limit is checked nevertheless.
ONE_BUYER_HOLDS_MUCH = {"HELD_PLACES_MAX": "100000", "SEAT_REST_SECONDS": "0"}


@contextmanager
def platform() -> Iterator[tuple[str, Path]]:
    """Yields the URL and the data folder: durable PostgreSQL, one API process, no rate limits."""
    with tempfile.TemporaryDirectory() as name:
        folder, port, output = Path(name) / "data", free_port(), Path(name) / "out"
        command = [sys.executable, "-m", "ticketing.cli", "up", "--no-demo", "--workers", "1", "--port", str(port)]
        with output.open("wb") as out:
            process = subprocess.Popen(
                [*command, "--data-dir", str(folder)],
                env={**os.environ, "LOG_LEVEL": "warning", "RATE_LIMITS": "off", **ONE_BUYER_HOLDS_MUCH},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            if not wait_for(lambda: b"is ready" in output.read_bytes() or process.poll() is not None, READY_SECONDS):
                raise SystemExit(output.read_text())
            yield f"http://127.0.0.1:{port}", folder
        finally:
            process.terminate()
            process.wait(60)
