"""Whether the response time of a failed log-in reveals that an account exists."""

import secrets
import statistics
import time
from pathlib import Path
from uuid import uuid4

import httpx2

from benchmarks.result import Result

#: Alternately with a wrong password and with an unknown address, so that other load affects both alike.
TRIES = 1000
PASSWORD = "correct horse battery"  # noqa: S105


def run(url: str, folder: Path) -> list[Result]:
    """Send a thousand log-ins that fail, for two reasons."""
    known, wrong, unknown = _address(), [], []
    with httpx2.Client(base_url=f"{url}/api/v1/auth", timeout=60) as client:
        _post(client, "/register", known, PASSWORD, 201)
        for _ in range(TRIES // 2):
            wrong.append(_post(client, "/login", known, secrets.token_hex(12), 401))
            unknown.append(_post(client, "/login", _address(), secrets.token_hex(12), 401))
    difference = abs(statistics.median(wrong) / statistics.median(unknown) - 1)
    meaning = f"between the medians of {TRIES} failed log-ins, with a wrong password and with an unknown address"
    return [Result("log_in_oracle", difference * 100, 5, f"percent difference {meaning}")]


def _address() -> str:
    return f"{uuid4().hex}@example.com"


def _post(client: httpx2.Client, path: str, email: str, password: str, status: int) -> float:
    """Seconds until the response. Aborts the benchmark if its status is unexpected."""
    started = time.perf_counter()
    response = client.post(path, json={"email": email, "password": password})
    seconds = time.perf_counter() - started
    if response.status_code != status:
        raise SystemExit(f"{path}: {response.status_code} {response.text[:500]}")
    return seconds
