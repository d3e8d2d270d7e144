"""Whether the time of a refusal tells a stranger who has an account."""

import secrets
import statistics
import time
from pathlib import Path
from uuid import uuid4

import httpx2

from benchmarks.result import Result

#: Half of them with a wrong password, half with an unknown address, in turns: whatever else the machine does falls on
#: both alike.
TRIES = 1000
PASSWORD = "correct horse battery"  # noqa: S105


def run(url: str, folder: Path) -> list[Result]:
    """Be refused a thousand times, for two reasons."""
    known, wrong, unknown = _address(), [], []
    with httpx2.Client(base_url=f"{url}/api/v1/auth", timeout=60) as client:
        _post(client, "/register", known, PASSWORD, 201)
        for _ in range(TRIES // 2):
            wrong.append(_post(client, "/login", known, secrets.token_hex(12), 401))
            unknown.append(_post(client, "/login", _address(), secrets.token_hex(12), 401))
    apart = abs(statistics.median(wrong) / statistics.median(unknown) - 1)
    meaning = f"between the medians of {TRIES} log-ins, by turns with a wrong password and an unknown address"
    return [Result("log_in_oracle", apart * 100, 5, f"per cent {meaning}")]


def _address() -> str:
    return f"{uuid4().hex}@example.com"


def _post(client: httpx2.Client, path: str, email: str, password: str, status: int) -> float:
    """Seconds until the answer; an answer that was not expected ends the run."""
    started = time.perf_counter()
    answer = client.post(path, json={"email": email, "password": password})
    seconds = time.perf_counter() - started
    if answer.status_code != status:
        raise SystemExit(f"{path}: {answer.status_code} {answer.text[:500]}")
    return seconds
