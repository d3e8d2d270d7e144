"""Compiles and runs the load generator, a small C program, and parses its figures."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_name("load.c")
#: How long a run may take beyond its length, to drain or to send a whole file.
TIMEOUT_SECONDS = 300


class Missing(Exception):
    """A program that `make bench` requires is not installed; the text says how to install it."""


@dataclass(frozen=True, slots=True)
class Load:
    """The figures of one run. Times are in seconds."""

    figures: Mapping[str, Any]
    #: The first error response of each kind.
    refusals: str = ""

    @property
    def rate(self) -> float:
        """Responses per second that arrived before the end of the round."""
        return float(self.figures["in_window"]) / max(float(self.figures["window_seconds"]), 1e-9)

    @property
    def p50(self) -> float:
        return float(self.figures["p50"])

    @property
    def p99(self) -> float:
        return float(self.figures["p99"])

    @property
    def cores(self) -> float:
        """The share of a core that the generator used."""
        return float(self.figures["cpu_seconds"]) / float(self.figures["seconds"])

    def count(self, status: int, step: int = 0) -> int:
        return int(self.figures["steps"][step].get(str(status), 0))

    @property
    def statuses(self) -> dict[int, int]:
        """The number of responses of all steps, by status."""
        total: dict[int, int] = {}
        for step in self.figures["steps"]:
            for status, count in step.items():
                if status.isdigit():
                    total[int(status)] = total.get(int(status), 0) + count
        return total

    def expect(self, *statuses: int) -> "Load":
        """Abort the benchmark if there was a response with another status, or none."""
        others = {status: count for status, count in self.statuses.items() if status not in statuses}
        lost = {name: self.figures[name] for name in ("cut", "unanswered", "bare_refusals") if self.figures[name]}
        if others or lost:
            raise SystemExit(f"the benchmark got unexpected responses: {others} {lost}\n{self.refusals}")
        return self


def need(program: str, package: str) -> str:
    """The path of an installed program. Raises Missing."""
    found = shutil.which(program)
    if found is None:
        raise Missing(f"`make bench` requires {program}: install it, on Debian with `apt-get install {package}`.")
    return found


class Generator:
    """The compiled load generator in a folder."""

    def __init__(self, folder: Path, port: int, environment: Mapping[str, str]) -> None:
        self.folder, self.port, self._environment = folder, port, {**os.environ, **environment}
        self._program = folder / "load"
        command = [need("cc", "gcc libc6-dev"), "-O2", "-o", str(self._program), str(SOURCE)]
        subprocess.run(command, check=True)

    def write(self, chains: Iterable[Sequence[bytes]]) -> Path:
        """Write the chains of requests to a file in the format of load.c. `wait` deletes it."""
        descriptor, name = tempfile.mkstemp(dir=self.folder, suffix=".requests")
        with os.fdopen(descriptor, "wb") as file:
            for steps in chains:
                file.write(bytes([len(steps)]))
                for step in steps:
                    file.write(len(step).to_bytes(4, "little") + step)
        return Path(name)

    def run(
        self,
        chains: Iterable[Sequence[bytes]] | Path,
        connections: int,
        *,
        seconds: float = 0,
        rate: float = 0,
        retries: int = 0,
        port: int = 0,
    ) -> Load:
        """Send until the time is over or nothing is left. A rate of 0 means as fast as responses arrive."""
        return self.wait(self.start(chains, connections, seconds=seconds, rate=rate, retries=retries, port=port))

    def start(
        self,
        chains: Iterable[Sequence[bytes]] | Path,
        connections: int,
        *,
        seconds: float = 0,
        rate: float = 0,
        retries: int = 0,
        port: int = 0,
    ) -> "subprocess.Popen[str]":
        """Start without waiting; `wait` returns the result."""
        path = chains if isinstance(chains, Path) else self.write(chains)
        command = [self._program, port or self.port, connections, seconds, rate, path]
        return subprocess.Popen(
            [str(part) for part in command],
            env={**self._environment, "LOAD_RETRIES": str(retries)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait(self, process: "subprocess.Popen[str]") -> Load:
        path = Path(str(process.args[-1]))  # type: ignore[index]
        try:
            output, errors = process.communicate(timeout=float(process.args[3]) + TIMEOUT_SECONDS)  # type: ignore[index,arg-type]
        finally:
            process.kill()
            path.unlink(missing_ok=True)
        if process.returncode != 0:
            raise SystemExit(f"the load generator failed: {errors}")
        return Load(json.loads(output), errors)
