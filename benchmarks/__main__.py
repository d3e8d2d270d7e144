"""Runs every benchmark against a platform of its own, prints a table, and writes it to benchmarks/results.json."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import log_ins, seats, walls
from benchmarks.result import Result
from ticketing.infra.ports import free_port
from ticketing.infra.processes import wait_for

OPEN_SECONDS = 120
RESULTS = Path(__file__).parent / "results.json"


@contextmanager
def platform() -> Iterator[tuple[str, Path]]:
    """The address and the data folder of a freshly opened platform: real, durable PostgreSQL, one API process."""
    with tempfile.TemporaryDirectory() as name:
        folder, port, output = Path(name) / "data", free_port(), Path(name) / "out"
        command = [sys.executable, "-m", "ticketing.cli", "up", "--no-demo", "--workers", "1", "--port", str(port)]
        with output.open("wb") as out:
            process = subprocess.Popen(  # noqa: S603 (our own command)
                [*command, "--data-dir", str(folder)],
                env={**os.environ, "LOG_LEVEL": "warning", "RATE_LIMITS": "off"},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            if not wait_for(lambda: b"is open" in output.read_bytes() or process.poll() is not None, OPEN_SECONDS):
                raise SystemExit(output.read_text())
            yield f"http://127.0.0.1:{port}", folder
        finally:
            process.terminate()
            process.wait(60)


def main() -> int:
    """The exit status is 1 when a bar is missed."""
    with platform() as (url, folder):
        results = [*seats.run(url, folder), *walls.run(url, folder), *log_ins.run(url, folder)]
    show(results)
    RESULTS.write_text(json.dumps({r.name: r.as_entry() for r in results}, indent=2) + "\n")
    return 0 if all(result.holds for result in results) else 1


def show(results: list[Result]) -> None:
    width = max(len(result.name) for result in results)
    for result in results:
        verdict = "holds" if result.holds else "MISSED"
        sys.stdout.write(f"{result.name:<{width}}  {result.value:8.2f}  bar {result.bar_text:<8}  {verdict}\n")
        sys.stdout.write(f"{'':<{width}}  {result.meaning}\n")


if __name__ == "__main__":
    sys.exit(main())
