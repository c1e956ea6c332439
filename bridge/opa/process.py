"""An OPA server that is a child of this process."""

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
from typing import IO, TYPE_CHECKING, Final, Self

from bridge.errors import EngineTimeoutError, EngineUnreachableError, OpaNotFoundError, OpaStatusError, UsageError
from bridge.escapes import escaped
from bridge.opa.executable import find_opa, opa_environment
from bridge.opa.listening import can_tell, ports_of
from bridge.opa.replies import Health
from bridge.opa.rest_api import OpaClient
from bridge.opa.wording import on_one_line
from bridge.process_bound import ProcessBound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    _File = str | os.PathLike[str]

_HOST: Final = "127.0.0.1"
_LOG_BYTES: Final = 64 * 1024
_LOG_IN_ERROR: Final = 2000
_GRACE: Final = 3.0
_POLL: Final = 0.01
_PORTS_TRIED: Final = 5
_WITHIN_A_LINE: Final = re.compile(r"[^\n\t]+")

# PR_SET_PDEATHSIG, set by the process itself before it becomes `opa`: a preexec_fn is not safe beside threads.
_DIE_WITH_PARENT: Final = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


class ManagedOpa(ProcessBound):
    """`opa run --server` on this machine's loopback address, started here and ready when the constructor returns.

    It neither phones home nor takes flags from the environment. It ends with `stop`, with the `with` block, when
    this object is no longer referred to, or when this process ends: on Linux, if started in the main thread, even
    when this process is killed.

    Args:
        paths: Rego, JSON and YAML files, and folders of such, to load.
        is_bundle: The paths are bundles.
        port: Where to listen; 0 for any free port.
        arguments: Further arguments of `opa run`, but none that add an address.
        tls: PEM files of the server's certificate and its key, for `https`.
        executable: Which `opa`; None finds it.
        ready_within: Seconds until it must be healthy, its bundles active.
        log_to: Where its log is copied to, if anywhere.
        token: As for `OpaClient`, for the question whether it is healthy.
        ca: As for `OpaClient`.
        client_certificate: As for `OpaClient`.

    Raises:
        OpaNotFoundError: There is no usable executable.
        EngineUnreachableError: It ended before it was healthy; the text tells the end of its log.
        EngineTimeoutError: It did not become healthy in time.
        UsageError: An argument that adds an address.
        ConfigurationError: TLS files that cannot be used.
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
            raise UsageError("a managed opa listens on one address, which is not given by its arguments")
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
                self.port = self._wait_for_port(end)
                self.url = f"{scheme}://{_HOST}:{self.port}"
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
        """Its process id."""
        return self._process.pid

    @property
    def log(self) -> str:
        """The end of its log."""
        return self._log.text()

    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def wait(self, seconds: float | None = None) -> int:
        """Wait until it ends by itself, and give its exit status.

        Args:
            seconds: How long at most; None: as long as it takes.

        Raises:
            EngineTimeoutError: It runs on.
        """
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise EngineTimeoutError(f"`opa` has not ended within {seconds:g} s") from None

    def stop(self) -> None:
        """End it: let it finish what it is at for some seconds, then kill it. Does nothing in a forked child."""
        self._end(_GRACE)

    def kill(self) -> None:
        """End it at once."""
        self._end(0)

    def _end(self, grace: float) -> None:
        _end_process(self._process, self._owner, grace)
        self._log.finish()

    def _start(self, opa: Path, port: int, arguments: list[str], log_to: IO[str] | None) -> None:
        command = [os.fspath(opa), "run", "--server", "--addr", f"{_HOST}:{port}", *arguments]
        # The signal comes when the thread that started the process ends, so not from a thread that may be short-lived.
        if sys.platform == "linux" and sys.executable and threading.current_thread() is threading.main_thread():
            command = [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command]
        self._owner = os.getpid()
        self._wanted_port = port
        try:
            self._process = subprocess.Popen(  # noqa: S603 - no shell; the executable is the one that the user named
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=opa_environment(),
                start_new_session=True,  # a Ctrl-C at the terminal is for this process, which then ends that one
            )
        except OSError as error:
            raise OpaNotFoundError(f"`{opa}` cannot be started: {(error.strerror or str(error)).lower()}") from None
        assert self._process.stdout is not None
        self._log = _Log(self._process.stdout, log_to)
        weakref.finalize(self, _end_process, self._process, self._owner, 0)

    def _wait_for_port(self, end: float) -> int:
        """The port that the process itself listens on, so that nobody else's server is taken for it."""
        if not can_tell():
            return self._wanted_port
        while True:
            self._check_running()
            ports = ports_of(self.pid)
            if ports:
                return min(ports)
            self._pause(end)

    def _wait_for_health(self, client: OpaClient, end: float) -> None:
        while True:
            self._check_running()
            health = _asked(client, max(_POLL, end - time.monotonic()))
            if health is None or health.ok:
                return
            self._pause(end)

    def _pause(self, end: float) -> None:
        if time.monotonic() >= end:
            raise EngineTimeoutError(f"`opa` did not become healthy in time; its log: {self._log_for_error()}")
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
    """Reads a process's output as it comes, so that its pipe never fills, and keeps the end of it."""

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
                if self._copy_to is not None:
                    # What others ask for stands in it.
                    self._copy_to.write(_WITHIN_A_LINE.sub(lambda match: escaped(match[0]), decoder.decode(piece)))

    def finish(self) -> None:
        """Read the rest of a process that has ended."""
        self._thread.join(1.0)

    def text(self) -> str:
        return bytes(self._kept).decode(errors="replace")


def _end_process(process: subprocess.Popen[bytes], owner: int, grace: float) -> None:
    if owner != os.getpid() or process.poll() is not None:
        return
    if grace:
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            pass
        else:
            return
    process.kill()
    process.wait()


def _asked(client: OpaClient, seconds: float) -> Health | None:
    """What it says of its health; None where it answers but will not say it to us."""
    try:
        return client.health(bundles=True, deadline=min(seconds, 1.0))
    except OpaStatusError:
        return None
    except (EngineUnreachableError, EngineTimeoutError) as error:
        return Health(ok=False, message=str(error))


def _free_port() -> int:
    """0, where the process can be asked for its port afterwards, or else a port that was free just now."""
    if can_tell():
        return 0
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
