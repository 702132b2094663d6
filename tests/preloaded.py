"""Processes for tests that kill, pause or call the loaders: forks of one that has imported what they need.

Of the two seconds of CPU that such a process takes, importing dlt, pyarrow and their like is nearly all, and
tests start hundreds. `Popen` and `run` are used as those of subprocess; each process is one of its own, with
its own environment, folder, standard streams and exit code. What is about the start itself starts Python.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[1]
IMPORTED = (
    "dlt._workspace.cli._dlt",
    "dlt.destinations.impl.postgres.postgres",
    "dlt.destinations.impl.redshift.redshift",
    "adbc_driver_postgresql.dbapi",
    "loaders._core.command",
    "loaders.kafka",
    "loaders.rds",
    "loaders.sqs",
    "tests.loaders.vendor",
)


class Popen(subprocess.Popen[Any]):
    """A process of Python, given as to subprocess: an interpreter with -m or -c, or a script of Python."""

    def _execute_child(self, args: Any, *how: Any) -> None:
        cwd, env = how[4:6]
        p2cread, _, _, c2pwrite, _, errwrite = pipes = how[9:15]
        command = [os.fspath(each) for each in args]
        request = {
            "command": command[1:] if command[0] == sys.executable else command,
            "cwd": os.fspath(cwd or os.getcwd()),
            "environment": dict(os.environ if env is None else env),
        }
        streams = [own if own != -1 else number for number, own in enumerate((p2cread, c2pwrite, errwrite))]
        self._ended, theirs = os.pipe()
        try:
            self.pid = _started().fork(request, [*streams, theirs])
            self._child_created = True
        finally:
            os.close(theirs)
            self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]

    def _internal_poll(self, *_: Any, **__: Any) -> int | None:
        if self.returncode is None and select.select([self._ended], [], [], 0)[0]:
            self._end()
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        if self.returncode is None:
            if not select.select([self._ended], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self._end()
        return int(self.returncode)

    def _end(self) -> None:
        told = os.read(self._ended, 16)
        os.close(self._ended)
        self.returncode = int(told)


def run(
    command: Sequence[Any], *, capture_output: bool = False, timeout: float | None = None, **how: Any
) -> subprocess.CompletedProcess[Any]:
    """As subprocess.run."""
    check = how.pop("check", False)
    if capture_output:
        how |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Popen(command, **how) as process:
        try:
            told = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    ended = subprocess.CompletedProcess(process.args, process.returncode, *told)
    if check:
        ended.check_returncode()
    return ended


class Server:
    """The process that forks; one request at a time."""

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair()
        self.lock = threading.Lock()
        environment = {name: text for name, text in os.environ.items() if "__" not in name}
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.preloaded", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                cwd=ROOT,
                env=environment,
            )
        atexit.register(self.end)

    def fork(self, request: dict[str, Any], streams: list[int]) -> int:
        """Have it forked; the process's id. Its exit code comes through the last of the streams."""
        with self.lock:
            text = json.dumps(request).encode()
            socket.send_fds(self.socket, [len(text).to_bytes(8)], streams)
            self.socket.sendall(text)
            return int.from_bytes(self.socket.recv(8, socket.MSG_WAITALL))

    def end(self) -> None:
        """End it; its forks go on."""
        self.process.kill()
        self.process.wait()
        self.socket.close()


@functools.cache
def _started() -> Server:
    return Server()


def _serve(server: socket.socket) -> None:
    for name in IMPORTED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    ends: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([server, wake], [], [])
        if wake in ready:
            os.read(wake, 1024)
            while ends and (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                os.write(ends[pid], str(os.waitstatus_to_exitcode(status)).encode())
                os.close(ends.pop(pid))
        if server not in ready:
            continue
        length, streams, _, _ = socket.recv_fds(server, 8, 4)
        if not length:
            return
        request = json.loads(server.recv(int.from_bytes(length), socket.MSG_WAITALL))
        pid = os.fork()
        if not pid:
            _become(request, streams, [server.detach(), wake, woken, *ends.values()])
        for stream in streams[:3]:
            os.close(stream)
        ends[pid] = streams[3]
        server.sendall(pid.to_bytes(8))


def _become(request: dict[str, Any], streams: list[int], others: list[int]) -> NoReturn:
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, stream in enumerate(streams[:3]):
            os.dup2(stream, number)
        for stream in [*others, *streams]:
            if stream > 2:
                os.close(stream)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["cwd"])
        code = _run(request["command"])
    except BaseException:
        traceback.print_exc()
    finally:
        _leave(code)


def _run(command: list[str]) -> int:
    """Do what Python does with these arguments; the exit code."""
    first, *rest = command
    try:
        if first == "-m":
            sys.argv = rest
            sys.path[0] = os.getcwd()
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        elif first == "-c":
            sys.argv = ["-c", *rest[1:]]
            sys.path[0] = ""
            exec(compile(rest[0], "<string>", "exec"), vars(sys.modules["__main__"]))
        else:
            sys.argv = command
            sys.path[0] = str(Path(first).parent)
            runpy.run_path(first, run_name="__main__")
    except SystemExit as exit_:
        if exit_.code is None or isinstance(exit_.code, int):
            return exit_.code or 0
        print(exit_.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    return 0


def _leave(code: int) -> NoReturn:
    """As Python ends: waits for threads, calls what is registered, and says what is still unsaid."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
