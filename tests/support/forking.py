"""Runs `python -m …` by forking a server process that has already imported the application.

The imports take two CPU seconds, more than the work of most commands and workers under test. `start()` and `run()`
behave like `asyncio.create_subprocess_exec` and `subprocess.run`: a separate process with its own environment, working
directory and output, which accepts signals and reports its exit status. Without pidfd (Linux 5.3), `run()` starts a new
interpreter. Tests of `ticketing up` always start new interpreters.
"""

import array
import asyncio
import atexit
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

#: The limit for importing the application on a busy machine.
READY_SECONDS = 120
MESSAGE_BYTES_MAX = 1 << 20
HAS_PIDFD = hasattr(os, "pidfd_open")


class Forked:
    """A forked process, with the part of the interface of `asyncio.subprocess.Process` that tests use."""

    def __init__(self, line: socket.socket, pid: int) -> None:
        self._line, self.pid = line, pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit status, as in `subprocess`: negative for a signal, None while the process runs."""
        if self.returncode is None and _is_readable(self._line, 0):
            self._finish()
        return self.returncode

    async def wait(self) -> int:
        while (code := self.poll()) is None:  # noqa: ASYNC110 (nothing to wait on but the socket)
            await asyncio.sleep(0.01)
        return code

    def wait_for(self, seconds: float) -> int:
        """Block until the process ends. After `seconds`, kill it and raise TimeoutError."""
        if self.returncode is None:
            if not _is_readable(self._line, seconds):
                self.send_signal(signal.SIGKILL)
                raise TimeoutError(f"process {self.pid} has not ended within {seconds:.0f} s")
            self._finish()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def _finish(self) -> None:
        self.returncode = int(_receive(self._line)["returncode"])
        self._line.close()


def start(module: str, *arguments: str, env: Mapping[str, str], output: IO[bytes], cwd: Path | str = ".") -> Forked:
    """Start `python -m module arguments`, with standard output and error in one file."""
    return _server().fork([module, *arguments], env, cwd, output, output)


def run(
    module: str, *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | str = ".", timeout: float = 120
) -> "subprocess.CompletedProcess[str]":
    """Run `python -m module arguments` and return its output as text. Raises TimeoutError."""
    environment = os.environ if env is None else env
    if not HAS_PIDFD:
        command = [sys.executable, "-m", module, *arguments]
        return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=timeout)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = _server().fork([module, *arguments], environment, cwd, out, err)
        code = process.wait_for(timeout)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess([module, *arguments], code, *texts)


class _Server:
    """The client of the fork server, which exits when its standard input closes: with the process that started it."""

    def __init__(self) -> None:
        folder = tempfile.mkdtemp(prefix="forking-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        self._path = str(Path(folder) / "socket")
        command = [sys.executable, "-m", "tests.support.forking", self._path]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=Path(__file__).parents[2])

    def fork(
        self, arguments: Sequence[str], env: Mapping[str, str], cwd: Path | str, out: IO[bytes], err: IO[bytes]
    ) -> Forked:
        line = self._connect()
        request = {"arguments": list(arguments), "env": dict(env), "cwd": str(Path(cwd).resolve())}
        descriptors = array.array("i", [out.fileno(), err.fileno()])
        payload = json.dumps(request).encode()
        line.sendmsg([len(payload).to_bytes(4, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
        line.sendall(payload)
        return Forked(line, int(_receive(line)["pid"]))

    def _connect(self) -> socket.socket:
        end = time.monotonic() + READY_SECONDS
        while True:
            line = socket.socket(socket.AF_UNIX)
            try:
                line.connect(self._path)
                return line
            except OSError:
                line.close()
                assert self._process.poll() is None, "the fork server has ended"
                assert time.monotonic() < end, "the fork server does not start"
            time.sleep(0.02)


_server = cache(_Server)


def _receive(line: socket.socket) -> dict[str, int]:
    """Read one message, a line of JSON. Raises EOFError when the peer has closed the socket."""
    text = b""
    while not text.endswith(b"\n"):
        if not (byte := line.recv(1)):
            raise EOFError("the fork server has ended")
        text += byte
    found: dict[str, int] = json.loads(text)
    return found


def _is_readable(line: socket.socket, seconds: float) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(line, selectors.EVENT_READ)
        return bool(selector.select(seconds))


# The fork server. -----------------------------------------------------------------------------------------------------


class Child(BaseException):
    """Raised in a forked process, to leave the server's loop."""


def serve(path: str) -> None:
    """Fork on request until standard input closes. Raises Child in each forked process."""
    selector = selectors.DefaultSelector()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    selector.register(listener, selectors.EVENT_READ)
    selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for key, _ in selector.select():
            if key.fileobj == sys.stdin.fileno():
                return
            if key.fileobj is listener:
                line, _ = listener.accept()
                pid = _fork(line, [listener, *(each for _, each in running.values())], [selector, *running])
                descriptor = os.pidfd_open(pid)
                running[descriptor] = pid, line
                selector.register(descriptor, selectors.EVENT_READ)
            else:
                _report_exit(*running.pop(key.fd))
                selector.unregister(key.fd)
                os.close(key.fd)


def _fork(line: socket.socket, sockets: Sequence[socket.socket], others: Sequence[object]) -> int:
    head, ancillary, *_ = line.recvmsg(4, socket.CMSG_SPACE(8))
    descriptors = array.array("i")
    descriptors.frombytes(ancillary[0][2])
    payload, size = b"", int.from_bytes(head, "big")
    while len(payload) < size:
        payload += line.recv(size - len(payload))
    request = json.loads(payload)
    if pid := os.fork():
        for descriptor in descriptors:
            os.close(descriptor)
        line.sendall(json.dumps({"pid": pid}).encode() + b"\n")
        return pid
    for each in (line, *sockets):
        each.close()
    for other in others:
        other.close() if isinstance(other, selectors.BaseSelector) else os.close(other)  # type: ignore[arg-type]
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, place in ((nothing, 0), (descriptors[0], 1), (descriptors[1], 2)):
        os.dup2(descriptor, place)
        os.close(descriptor)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    raise Child(request["arguments"])


def _report_exit(pid: int, line: socket.socket) -> None:
    _, status = os.waitpid(pid, 0)
    with suppress(OSError):  # the client has closed the socket
        line.sendall(json.dumps({"returncode": os.waitstatus_to_exitcode(status)}).encode() + b"\n")
    line.close()


def _import_application() -> None:
    """Import every module of the application."""
    import importlib
    import pkgutil

    import ticketing

    for found in pkgutil.walk_packages(ticketing.__path__, "ticketing."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)


def main() -> None:
    import gc
    import runpy

    gc.disable()
    _import_application()
    gc.freeze()
    gc.enable()
    try:
        serve(sys.argv[1])
    except Child as child:
        module, *arguments = child.args[0]
        child.__traceback__ = None
    else:
        return
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
