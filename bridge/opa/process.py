"""An OPA server as a child process."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
import weakref
from codecs import getincrementaldecoder
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final, Self

from bridge.errors import EngineTimeoutError, EngineUnreachableError, OpaNotFoundError, OpaStatusError, UsageError
from bridge.escapes import escaped, on_one_line
from bridge.opa.executable import end_process, find_opa, opa_environment
from bridge.opa.rest_api import OpaClient
from bridge.process_bound import ProcessBound

_File = str | os.PathLike[str]

_HOST: Final = "127.0.0.1"
_LOG_BYTES: Final = 64 * 1024
_LOG_IN_ERROR: Final = 2000
_GRACE: Final = 3.0
_POLL: Final = 0.01
_PORTS_TRIED: Final = 5
_WITHIN_A_LINE: Final = re.compile(r"[^\n\t]+")
_SOCKET: Final = re.compile(r"socket:\[(\d+)\]")
_LISTENING: Final = "0A"  # in Linux's /proc/net/tcp

# The process sets PR_SET_PDEATHSIG itself before it becomes `opa`: a preexec_fn is not safe with threads.
_DIE_WITH_PARENT: Final = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


class ManagedOpa(ProcessBound):
    """`opa run --server` on the loopback address; it is ready when the constructor returns.

    It checks for no newer version of OPA, and takes no flags from the environment. It ends with `stop`, with the `with`
    block, with the last reference to this object, or with this process. On Linux, if the main thread started it, it
    also ends when this process is killed.

    Args:
        paths: Rego, JSON and YAML files and their folders, to load.
        is_bundle: The paths are bundles.
        port: The port to listen on; 0 for any free port.
        arguments: Further arguments of `opa run`, but none that add an address.
        tls: PEM files of the server's certificate and its key, for `https`.
        executable: The `opa` to run; None searches for it.
        ready_within: Seconds until it must be healthy with all bundles active.
        log_to: A stream to copy its log to.
        token: As for `OpaClient`, for the health check.
        ca: As for `OpaClient`.
        client_certificate: As for `OpaClient`.

    Raises:
        OpaNotFoundError: There is no usable executable.
        EngineUnreachableError: It ended before it was healthy; the text holds the end of its log.
        EngineTimeoutError: It did not become healthy in time.
        UsageError: An argument adds an address.
        ConfigurationError: A TLS file cannot be used.
    """

    def __init__(
        self,
        paths: Sequence[_File] = (),
        *,
        is_bundle: bool = False,
        port: int = 0,
        arguments: Sequence[str] = (),
        tls: tuple[_File, _File] | None = None,
        executable: _File | None = None,
        ready_within: float = 20.0,
        log_to: IO[str] | None = None,
        token: str | None = None,
        ca: _File | None = None,
        client_certificate: tuple[_File, _File] | None = None,
    ) -> None:
        if any(argument.startswith(("--addr", "-a", "--diagnostic-addr")) for argument in arguments):
            raise UsageError("a managed opa listens on one address: give its port by `port`, not by `arguments`")
        end = time.monotonic() + ready_within
        options = ["--skip-version-check", *arguments]
        if tls is not None:
            options += ["--tls-cert-file", os.fspath(tls[0]), "--tls-private-key-file", os.fspath(tls[1])]
        if is_bundle:
            options.append("--bundle")
        files = [os.fspath(path) for path in paths]
        scheme = "http" if tls is None else "https"
        opa = find_opa(executable)
        for attempt in range(_PORTS_TRIED):
            self._start(opa, port or _free_port(), [*options, "--", *files], log_to)
            try:
                self.port: int = self._wait_for_port(end)
                self.url: str = f"{scheme}://{_HOST}:{self.port}"
                with OpaClient(self.url, token=token, ca=ca, client_certificate=client_certificate) as client:
                    self._wait_for_health(client, end)
            except _PortTakenError:
                if port or attempt == _PORTS_TRIED - 1:
                    raise
            except BaseException:
                self.kill()
                raise
            else:
                return

    def __repr__(self) -> str:
        return f"ManagedOpa({self.url!r}, pid={self.pid})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    @property
    def log(self) -> str:
        """Return the end of its log."""
        return self._log.text()

    def is_running(self) -> bool:
        """Return whether it has not ended yet."""
        return self._process.poll() is None

    def wait(self, seconds: float | None = None) -> int:
        """Wait until it ends by itself, and return its exit status.

        Args:
            seconds: The timeout; None waits without one.

        Raises:
            EngineTimeoutError: It has not ended in time.
        """
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise EngineTimeoutError(f"`opa` has not ended within {seconds:g} s") from None

    def stop(self) -> None:
        """End it: let it finish open requests for some seconds, then kill it. Do nothing in a forked child."""
        self._end(_GRACE)

    def kill(self) -> None:
        """End it at once."""
        self._end(0)

    def _end(self, grace: float) -> None:
        end_process(self._process, self._owner, grace)
        self._log.finish()

    def _start(self, opa: Path, port: int, arguments: list[str], log_to: IO[str] | None) -> None:
        command = [os.fspath(opa), "run", "--server", "--addr", f"{_HOST}:{port}", *arguments]
        # The signal comes when the starting thread ends, so only the main thread may ask for it.
        if sys.platform == "linux" and sys.executable and threading.current_thread() is threading.main_thread():
            command = [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command]
        self._owner = os.getpid()
        self._requested_port = port
        try:
            self._process = subprocess.Popen(  # noqa: S603 - no shell; the executable is the one that the user named
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=opa_environment(),
                start_new_session=True,  # Ctrl-C at the terminal signals this process only, which then ends `opa`
            )
        except OSError as error:
            raise OpaNotFoundError(f"`{opa}` cannot be started: {(error.strerror or str(error)).lower()}") from None
        assert self._process.stdout is not None
        self._log = _Log(self._process.stdout, log_to)
        weakref.finalize(self, end_process, self._process, self._owner, 0)

    def _wait_for_port(self, end: float) -> int:
        """Return the port that the process itself listens on, so that no other server is taken for it."""
        if not _shows_ports():
            return self._requested_port
        while True:
            self._check_running()
            ports = _listening_ports(self.pid)
            if ports:
                return min(ports)
            self._pause(end)

    def _wait_for_health(self, client: OpaClient, end: float) -> None:
        while True:
            self._check_running()
            if _is_ready(client, max(_POLL, end - time.monotonic())):
                return
            self._pause(end)

    def _pause(self, end: float) -> None:
        if time.monotonic() >= end:
            raise EngineTimeoutError(
                f"`opa` did not become healthy in time: raise `ready_within`, or see its log: {self._log_for_error()}"
            )
        time.sleep(_POLL)

    def _check_running(self) -> None:
        if (status := self._process.poll()) is None:
            return
        self._log.finish()
        error = _PortTakenError if "address already in use" in self.log else EngineUnreachableError
        raise error(f"`opa` ended with exit status {status} before it was healthy; its log: {self._log_for_error()}")

    def _log_for_error(self) -> str:
        return on_one_line(self.log[-_LOG_IN_ERROR:]) or "(empty)"


class _PortTakenError(EngineUnreachableError):
    pass


class _Log:
    """A thread that reads a process's output, so that the pipe never fills, and keeps the end of it."""

    def __init__(self, pipe: IO[bytes], copy_to: IO[str] | None) -> None:
        self._pipe = pipe
        self._copy_to = copy_to
        self._kept = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True, name="opa-log")
        self._thread.start()

    def _read(self) -> None:
        decoder = getincrementaldecoder("utf-8")(errors="replace")
        with self._pipe:
            while piece := os.read(self._pipe.fileno(), _LOG_BYTES):
                self._kept += piece
                del self._kept[:-_LOG_BYTES]
                if self._copy_to is not None:  # the log holds text of clients
                    self._copy_to.write(_WITHIN_A_LINE.sub(lambda match: escaped(match[0]), decoder.decode(piece)))

    def finish(self) -> None:
        """Read the rest of a process that has ended."""
        self._thread.join(1.0)

    def text(self) -> str:
        return bytes(self._kept).decode(errors="replace")


def _is_ready(client: OpaClient, seconds: float) -> bool:
    try:
        return client.health(bundles=True, deadline=min(seconds, 1.0)).ok
    except OpaStatusError:  # OPA runs, but does not let this client ask
        return True
    except (EngineUnreachableError, EngineTimeoutError):
        return False


def _free_port() -> int:
    """Return 0 if the system shows the port of a process afterwards, or else a port that is free now."""
    if _shows_ports():
        return 0
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _shows_ports() -> bool:
    """Return whether this system, as Linux does, shows the ports of a process in files."""
    return Path("/proc/self/net/tcp").exists()


def _listening_ports(pid: int) -> frozenset[int]:
    """Return the ports that a process listens on; none while it starts, and none after its end."""
    process = Path("/proc") / str(pid)
    try:
        sockets = {match[1] for link in (process / "fd").iterdir() if (match := _socket_of(link))}
        lines = (process / "net" / "tcp").read_text().splitlines()[1:]
    except OSError:
        return frozenset()
    ports = set()
    for line in lines:
        _, local, _, state, _, _, _, _, _, inode, *_ = line.split()
        if state == _LISTENING and inode in sockets:
            ports.add(int(local.rpartition(":")[2], 16))
    return frozenset(ports)


def _socket_of(link: Path) -> re.Match[str] | None:
    try:
        return _SOCKET.fullmatch(str(link.readlink()))
    except OSError:  # the process has closed it
        return None
