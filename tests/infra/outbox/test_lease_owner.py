"""The lease of a dead owner is taken over at once; that of a stopped, remote or unknown owner is not."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ticketing.infra.db import Database
from ticketing.infra.outbox import lease_owner
from ticketing.infra.outbox.reader import LeaseLost, LogReader
from ticketing.infra.system.processes import wait_for

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/ns/pid").exists(), reason="without /proc no process is known to be dead"
)

SCRIPT = (
    "import sys; from ticketing.infra.outbox import lease_owner;"
    "print(lease_owner.this_process(), flush=True); sys.stdin.read()"
)


class Owner(NamedTuple):
    name: str
    process: "subprocess.Popen[str]"

    def has_state(self, state: str) -> bool:
        return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2].startswith(state)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def owner() -> Iterator[Owner]:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield Owner(process.stdout.readline().strip(), process)
        process.kill()


def test_a_killed_process_is_dead_reaped_or_not(owner: Owner) -> None:
    assert not lease_owner.is_dead(owner.name)
    owner.process.kill()
    assert wait_for(lambda: owner.has_state("Z"), 10)
    assert lease_owner.is_dead(owner.name)
    owner.process.wait(10)
    assert lease_owner.is_dead(owner.name)
    assert lease_owner.is_dead(f"{owner.name}:and-more")


def test_a_stopped_process_is_not_dead(owner: Owner) -> None:
    owner.process.send_signal(signal.SIGSTOP)
    assert wait_for(lambda: owner.has_state("T"), 10)
    assert not lease_owner.is_dead(owner.name)


def test_a_process_whose_pid_was_reused_is_dead(owner: Owner) -> None:
    host, pid, machine, started = owner.name.split(":")
    assert lease_owner.is_dead(f"{host}:{pid}:{machine}:{int(started) - 1}")


def test_processes_of_other_machines_and_users_are_not_reported_dead(owner: Owner) -> None:
    owner.kill()
    host, pid, machine, started = owner.name.split(":")
    other = machine[::-1] + "0"
    for name in (f"{host}:{pid}", f"{host}:{pid}:{other}:{started}", f"{host}:{pid}::{started}", f"{host}:x", ""):
        assert not lease_owner.is_dead(name)
    assert not lease_owner.is_dead(
        f"{host}:1:{machine}:{_started(1)}"
    )  # another user's process, unless the tests run as root
    assert not lease_owner.is_dead(lease_owner.this_process())


def _started(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


async def test_the_lease_of_a_killed_process_is_taken_over_at_once(database: Database, owner: Owner) -> None:
    killed, successor = LogReader(database, "tests", owner.name), LogReader(database, "tests", "successor")
    assert await killed.acquire()
    os.kill(owner.process.pid, signal.SIGSTOP)
    assert not await successor.acquire()
    owner.kill()
    assert await successor.acquire()
    with pytest.raises(LeaseLost):
        await killed.read()


async def test_only_one_successor_gets_the_lease_of_a_dead_process(database: Database, owner: Owner) -> None:
    assert await LogReader(database, "tests", owner.name).acquire()
    owner.kill()
    heirs = [LogReader(database, "tests", f"heir {number}") for number in range(4)]
    assert sorted(await asyncio.gather(*(heir.acquire() for heir in heirs))) == [False, False, False, True]
