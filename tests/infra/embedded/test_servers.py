"""Embedded servers start for every user, keep their data, and never outlive the process that started them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from ticketing.infra.embedded import EmbeddedServer, run_as
from ticketing.infra.embedded import server as embedded
from ticketing.infra.embedded.postgres import EmbeddedPostgres
from ticketing.infra.embedded.valkey import EmbeddedValkey
from ticketing.infra.system.processes import EmbeddedError, wait_for

FAST = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "16MB"}
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its user")
LINUX_ONLY = pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="reads /proc")

LAUNCHER = """
import sys, time
from ticketing.infra.embedded import server as embedded
from ticketing.infra.embedded.postgres import EmbeddedPostgres
from ticketing.infra.embedded.valkey import EmbeddedValkey
{patch}
server = {server}(sys.argv[1])
server.start()
print(server.process.pid, flush=True)
time.sleep(60)
"""
NO_KERNEL_SIGNAL = "embedded.dying_with_parent = lambda signal: []"
NO_PROTECTION = NO_KERNEL_SIGNAL + "; embedded.EmbeddedServer._start_guard = lambda self: None"


def query(postgres: EmbeddedPostgres, statement: str, database: str = "postgres") -> object:
    with psycopg.connect(postgres.url(database).replace("+psycopg", ""), autocommit=True) as connection:
        cursor = connection.execute(statement)  # type: ignore[arg-type]
        return cursor.fetchone()[0] if cursor.description else None  # type: ignore[index]


def processes_under(folder: Path) -> list[str]:
    """The command lines of all processes that run in this folder or name it."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            place = str((entry / "cwd").readlink())
        except OSError:
            continue
        if str(folder) in command or place.startswith(str(folder)):
            found.append(command)
    return found


def is_running(pid: int) -> bool:
    """False for a zombie too: it has no command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


def launch_in_another_process(server: str, base: Path, patch: str = "") -> tuple[subprocess.Popen[str], int]:
    """Start a server from another process; that process and the pid of the server."""
    script = LAUNCHER.format(server=server, patch=patch)
    launcher = subprocess.Popen([sys.executable, "-c", script, str(base)], stdout=subprocess.PIPE, text=True)
    assert launcher.stdout is not None
    return launcher, int(launcher.stdout.readline())


def kill_outright(launcher: subprocess.Popen[str]) -> None:
    launcher.kill()
    launcher.communicate()


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "server"
    if Path("/proc").exists():
        assert wait_for(lambda: not processes_under(tmp_path), 5), processes_under(tmp_path)


def test_postgres_starts_and_creates_databases(base: Path) -> None:
    with EmbeddedPostgres(base, FAST) as postgres:
        postgres.create_database("ticketing")
        postgres.create_database("ticketing")
        assert query(postgres, "SELECT current_database()", "ticketing") == "ticketing"
        assert query(postgres, "SHOW fsync") == "off"
        postgres.drop_database("ticketing")
        assert query(postgres, "SELECT count(*) FROM pg_database WHERE datname = 'ticketing'") == 0


def test_postgres_is_durable_by_default(base: Path) -> None:
    with EmbeddedPostgres(base) as postgres:
        assert query(postgres, "SHOW fsync") == "on"
        assert query(postgres, "SHOW synchronous_commit") == "on"
        assert query(postgres, "SHOW full_page_writes") == "on"


def test_postgres_listens_on_loopback_only_and_requires_the_password(base: Path) -> None:
    with EmbeddedPostgres(base, {**FAST, "listen_addresses": "*"}) as postgres:
        assert query(postgres, "SHOW listen_addresses") == "127.0.0.1"
        assert query(postgres, "SHOW password_encryption") == "scram-sha-256"
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(host="127.0.0.1", port=postgres.port, user="postgres", password="wrong", dbname="postgres")
    assert (base / "password").stat().st_mode & 0o777 == 0o600
    assert base.stat().st_mode & 0o077 == 0


def test_postgres_data_survives_a_killed_server(base: Path) -> None:
    with EmbeddedPostgres(base, FAST) as postgres:
        query(postgres, "CREATE TABLE kept AS SELECT 7 AS number")
        assert postgres.process is not None
        os.kill(postgres.process.pid, signal.SIGKILL)
        postgres.process.wait()
        postgres.launch()
        postgres.wait_until_ready()
        assert query(postgres, "SELECT number FROM kept") == 7


def test_a_second_start_on_a_folder_in_use_is_refused(base: Path) -> None:
    with EmbeddedPostgres(base, FAST):
        with pytest.raises(EmbeddedError, match=rf"in use by process {os.getpid()}") as caught:
            EmbeddedPostgres(base, FAST).start()
        assert "\n" not in str(caught.value)


def test_a_stale_pid_file_that_names_another_process_is_ignored(base: Path) -> None:
    with EmbeddedPostgres(base, FAST) as postgres:
        pass
    postgres.pid_file.write_text(f"{os.getppid()}\n{postgres.data}\n0\n{postgres.port}\n\n127.0.0.1\n0 0\nready   \n")
    with EmbeddedPostgres(base, FAST) as postgres:
        assert query(postgres, "SELECT 1") == 1


def test_an_interrupted_first_start_leaves_no_half_cluster(base: Path) -> None:
    (base / "data.new").mkdir(parents=True)
    (base / "data.new" / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(base, FAST) as postgres:
        assert query(postgres, "SELECT 1") == 1


def test_a_server_that_cannot_start_gives_its_reason(base: Path) -> None:
    with pytest.raises(EmbeddedError, match="no_such_setting"):
        EmbeddedPostgres(base, {"no_such_setting": "1"}).start()


@LINUX_ONLY
@pytest.mark.parametrize("server", ["EmbeddedPostgres", "EmbeddedValkey"])
@pytest.mark.parametrize("patch", ["", NO_KERNEL_SIGNAL], ids=["kernel", "guard"])
def test_a_killed_launcher_leaves_no_orphans(base: Path, server: str, patch: str) -> None:
    launcher, _ = launch_in_another_process(server, base, patch)
    assert processes_under(base)
    kill_outright(launcher)
    assert wait_for(lambda: not processes_under(base), 10), processes_under(base)


@LINUX_ONLY
@pytest.mark.parametrize("kind", [EmbeddedPostgres, EmbeddedValkey])
def test_an_orphan_is_stopped_by_the_next_start(base: Path, kind: type[EmbeddedServer]) -> None:
    launcher, pid = launch_in_another_process(kind.__name__, base, NO_PROTECTION)
    kill_outright(launcher)
    assert is_running(pid)
    with kind(base) as server:
        assert server.process is not None
        assert server.process.pid != pid
        assert not is_running(pid)


def test_the_next_start_after_a_killed_launcher_has_the_data(base: Path) -> None:
    launcher, _ = launch_in_another_process("EmbeddedPostgres", base)
    kill_outright(launcher)
    with EmbeddedPostgres(base, FAST) as postgres:
        assert query(postgres, "SELECT 1") == 1


def folders_of_pytest(folder: Path) -> list[Path]:
    """The parent folders that pytest has made, which other users cannot enter; one more when tests run in parallel."""
    return [parent for parent in folder.parents if "pytest-of" in str(parent)]


@ROOT_ONLY
@pytest.mark.parametrize(
    ("closed", "has_namespaces"),
    [(False, True), (False, False), (True, False)],
    ids=["reachable", "reachable, without namespaces", "below a closed folder, without namespaces"],
)
def test_postgres_that_root_starts_runs_as_nobody(
    base: Path, monkeypatch: pytest.MonkeyPatch, closed: bool, has_namespaces: bool
) -> None:
    """Seen from outside: in a user namespace, a process calls itself nobody and has the files of root."""
    if not has_namespaces:
        monkeypatch.setattr(run_as, "NAMESPACE", ("a-program-that-is-not-there",))
    for folder in folders_of_pytest(base):
        folder.chmod(0o700 if closed else 0o755)
    for _ in range(2):
        with EmbeddedPostgres(base, FAST) as postgres:
            assert query(postgres, "SELECT 1") == 1
            assert postgres.process is not None
            assert Path(f"/proc/{postgres.process.pid}").stat().st_uid == 65534


@ROOT_ONLY
def test_files_made_in_a_user_namespace_are_usable_without_one(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for expected in (True, False, False):
        with EmbeddedPostgres(base, FAST) as postgres:
            assert query(postgres, "SELECT 1") == 1
            assert (postgres.data.stat().st_uid == 0) is expected
        monkeypatch.setattr(run_as, "NAMESPACE", ("a-program-that-is-not-there",))


@ROOT_ONLY
def test_an_ordinary_user_starts_both(base: Path) -> None:
    for folder in folders_of_pytest(base):
        folder.chmod(0o755)
    base.mkdir()
    os.chown(base, 65534, 65534)
    source = Path(embedded.__file__).parents[3]
    packages = Path(psycopg.__file__).parents[1]
    script = (
        "import sys; from ticketing.infra.embedded.postgres import EmbeddedPostgres as P;"
        "from ticketing.infra.embedded.valkey import EmbeddedValkey as V;"
        "P(sys.argv[1] + '/p').start().stop(); V(sys.argv[1] + '/v').start().stop(); print('both')"
    )
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        environment = {"PYTHONPATH": f"{source}:{packages}", "PATH": "/usr/bin:/bin"}
        command = [python, "-c", script, str(base)]
        try:
            outcome = subprocess.run(
                command,
                user=65534,
                group=65534,
                extra_groups=[],
                env=environment,
                cwd="/",
                capture_output=True,
                text=True,
            )
        except PermissionError:
            continue
        assert outcome.stdout == "both\n", outcome.stderr
        return
    pytest.skip("no Python here that an ordinary user can run")


def test_valkey_keeps_its_data_when_it_is_killed(base: Path) -> None:
    with EmbeddedValkey(base) as valkey:
        assert valkey.url().startswith("unix://")
        with redis.Redis.from_url(valkey.url()) as client:
            client.set("seat", "A-1")
        assert valkey.process is not None
        time.sleep(0.1)
        os.kill(valkey.process.pid, signal.SIGKILL)
        valkey.process.wait()
        valkey.launch()
        valkey.wait_until_ready()
        with redis.Redis.from_url(valkey.url()) as client:
            assert client.get("seat") == b"A-1"


def test_valkey_in_a_long_folder_uses_a_port_and_a_password(base: Path) -> None:
    with EmbeddedValkey(base / ("long" * 25)) as valkey:
        assert valkey.url().startswith("redis://:")
        with redis.Redis.from_url(valkey.url()) as client:
            assert client.ping()
        with socket.create_connection(("127.0.0.1", valkey.port)) as client:
            client.sendall(b"PING\r\n")
            assert client.recv(100).startswith(b"-NOAUTH")


def test_a_folder_with_special_characters_is_quoted(base: Path) -> None:
    folder = base / "a b%20ü"
    with EmbeddedValkey(folder) as valkey, redis.Redis.from_url(valkey.url()) as client:
        assert client.ping()
    with EmbeddedPostgres(folder, FAST) as postgres:
        assert query(postgres, "SELECT 1") == 1
