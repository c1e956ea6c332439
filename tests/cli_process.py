"""The command line as a real process."""

from __future__ import annotations

import http.client
import os
import select
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fault_server import Exchange, FaultServer
from typer.testing import CliRunner

from bridge.cli import app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

COMMAND = (sys.executable, "-m", "bridge")
PATIENCE = 600.0
"""Seconds after which a process hangs; no test waits so long unless it fails."""

_OURS = ("OPA_URL", "JWT", "NO_COLOR", "FORCE_COLOR", "PYTHONIOENCODING", "PYTHONUNBUFFERED")

# Where the tests run in the background, or under nohup, these are ignored, and so would each process that they start
# ignore them.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


@dataclass(frozen=True)
class Done:
    """What a process left behind."""

    status: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        return self.stdout.decode()


def environment(**changes: str | None) -> dict[str, str]:
    """The environment without what would change a command; None takes a variable away."""
    variables = {name: value for name, value in os.environ.items() if name not in _OURS}
    variables |= {"PYTHONUTF8": "1", "COLUMNS": "200"}
    for name, value in changes.items():
        variables.pop(name, None)
        if value is not None:
            variables[name] = value
    return variables


def run(
    *arguments: object, stdin: bytes = b"", status: int = 0, cwd: Path | None = None, **changes: str | None
) -> Done:
    """Run a command to its end; it must end with that status, and never with a traceback."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
        env=environment(**changes),
        cwd=cwd,
    )
    result = Done(done.returncode, done.stdout, done.stderr.decode(errors="replace"))
    assert "Traceback" not in result.stderr, result.stderr
    assert result.status == status, (result.status, result.stderr, result.stdout[-2000:])
    return result


def run_here(*arguments: object, stdin: bytes = b"", status: int = 0, **changes: str | None) -> Done:
    """As `run`, but in this process, which is many times faster: for mistakes, which come to nothing anyway."""
    gone = dict.fromkeys(_OURS)
    result = CliRunner(env=gone | {"COLUMNS": "200"} | changes).invoke(app, list(map(str, arguments)), input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert result.exit_code == status, (result.exit_code, result.output)
    return Done(result.exit_code, result.stdout_bytes, result.stderr)


@contextmanager
def started(*arguments: object, **changes: str | None) -> Iterator[subprocess.Popen[bytes]]:
    """A command that runs, with pipes to it and from it; killed at the end if it runs on."""
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env=environment(**changes),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_line(process: subprocess.Popen[bytes]) -> bytes:
    """The next line that it writes, its standard input left open; fails where none comes."""
    ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
    assert ready, "no line came"
    return process.stdout.readline()


def ended(process: subprocess.Popen[bytes], status: int) -> str:
    """Wait for the end, its standard input left open, and give what it complained about."""
    assert process.wait(PATIENCE) == status, process.stderr.read().decode()
    complaint = process.stderr.read().decode()
    assert "Traceback" not in complaint
    return complaint


@contextmanager
def between(url: str, changed: Callable[[Exchange, bytes], tuple[str, bytes] | None]) -> Iterator[FaultServer]:
    """A server that hands everything on to an OPA, and may change an answer."""
    target = urlsplit(url)

    def answer(exchange: Exchange) -> None:
        method, path, _ = exchange.line.split(" ")
        connection = http.client.HTTPConnection(target.hostname, target.port, timeout=PATIENCE)
        connection.request(method, path, exchange.body)
        reply = connection.getresponse()
        status, body = f"{reply.status} {reply.reason}", reply.read()
        connection.close()
        status, body = changed(exchange, body) or (status, body)
        exchange.reply(body if reply.status != 204 else b"", status)

    with FaultServer(answer) as server:
        yield server
