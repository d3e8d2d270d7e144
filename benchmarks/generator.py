"""The load generator: a small C program, compiled when it is needed, and the figures that it prints."""

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
#: What a run may take beyond its own length: to drain, or to send a whole file.
PATIENCE_SECONDS = 300


class Missing(Exception):
    """A program that `make bench` needs is not installed; the text says how to get it."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of the generator saw. Times in seconds."""

    seen: Mapping[str, Any]
    #: The first refusal of each kind, in the server's words.
    refusals: str = ""

    @property
    def rate(self) -> float:
        """Answers a second, of those that came before the time was up."""
        return float(self.seen["in_window"]) / max(float(self.seen["window_seconds"]), 1e-9)

    @property
    def p99(self) -> float:
        return float(self.seen["p99"])

    @property
    def cores(self) -> float:
        """How much of a core the generator itself used."""
        return float(self.seen["cpu_seconds"]) / float(self.seen["seconds"])

    def count(self, status: int, step: int = 0) -> int:
        return int(self.seen["steps"][step].get(str(status), 0))

    @property
    def statuses(self) -> dict[int, int]:
        """All answers of all steps, by their status."""
        total: dict[int, int] = {}
        for step in self.seen["steps"]:
            for status, count in step.items():
                if status.isdigit():
                    total[int(status)] = total.get(int(status), 0) + count
        return total

    def expect(self, *statuses: int) -> "Load":
        """Ends the benchmark when there was another answer, or none: what was measured is not what was meant."""
        others = {status: count for status, count in self.statuses.items() if status not in statuses}
        lost = {name: self.seen[name] for name in ("cut", "unanswered", "bare_refusals") if self.seen[name]}
        if others or lost:
            raise SystemExit(f"the benchmark got answers that it did not expect: {others} {lost}\n{self.refusals}")
        return self


def need(program: str, package: str) -> str:
    """The path of an installed program. Raises Missing."""
    found = shutil.which(program)
    if found is None:
        raise Missing(f"`make bench` needs {program}: install it, on Debian with `apt-get install {package}`.")
    return found


class Generator:
    """Compiles the program into a folder, and runs it from there."""

    def __init__(self, folder: Path, port: int, environment: Mapping[str, str]) -> None:
        self.folder, self.port, self._environment = folder, port, {**os.environ, **environment}
        self._program = folder / "load"
        command = [need("cc", "gcc libc6-dev"), "-O2", "-o", str(self._program), str(SOURCE)]
        subprocess.run(command, check=True)

    def write(self, chains: Iterable[Sequence[bytes]]) -> Path:
        """A file of these chains of requests, in the form that load.c describes; it is deleted when it was sent."""
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
        """Send until the time is up or nothing is left; a rate of 0 is as fast as there are answers."""
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
        """The same, beside what else happens; `wait` gives the result."""
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
            output, said = process.communicate(timeout=float(process.args[3]) + PATIENCE_SECONDS)  # type: ignore[index,arg-type]
        finally:
            process.kill()
            path.unlink(missing_ok=True)
        if process.returncode != 0:
            raise SystemExit(f"the load generator failed: {said}")
        return Load(json.loads(output), said)
