"""How a command ends: exit statuses, and errors told without a traceback."""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Never

import typer

from bridge.cli.terminal import complain
from bridge.errors import BridgeError, EngineError, KeysUnavailableError
from bridge.escapes import shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class Exit(IntEnum):
    """The exit statuses of all commands."""

    OK = 0
    DENIED = 1
    """`check`: denied. `push`: some resources were left out. `conformance`: an answer differs."""
    USAGE = 2
    """A call, a token or input that cannot be used; nothing was done."""
    FAULT = 3
    """The engine, or where the keys come from, failed."""
    INTERRUPTED = 130
    TERMINATED = 143
    PIPE = 141


def end(text: str, status: Exit) -> Never:
    """Say why on standard error, and end with `status`."""
    complain(text)
    raise typer.Exit(status)


@contextmanager
def reported_errors() -> Iterator[None]:
    """Turn what a user can cause, or a fault, into a line on standard error and an exit status."""
    with _terminable(), _told_warnings():
        try:
            yield
        except (EngineError, KeysUnavailableError) as error:
            end(str(error), Exit.FAULT)
        except BridgeError as error:
            end(str(error), Exit.USAGE)
        except BrokenPipeError:
            forget_output()
            raise typer.Exit(Exit.PIPE) from None
        except OSError as error:
            if error.filename is None:  # such as a full disk behind standard output
                forget_output()
            name = f"`{shown(error.filename)}`: " if error.filename is not None else ""
            end(f"{name}{(error.strerror or str(error)).lower()}", Exit.USAGE)
        except _Terminated:
            raise typer.Exit(Exit.TERMINATED) from None
        except KeyboardInterrupt:
            raise typer.Exit(Exit.INTERRUPTED) from None


class _Complaints(logging.Handler):
    """The library's warnings, told as the command's own."""

    def emit(self, record: logging.LogRecord) -> None:
        complain(record.getMessage())


@contextmanager
def _told_warnings() -> Iterator[None]:
    handler = _Complaints()
    log = logging.getLogger("bridge")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def forget_output() -> None:
    """Keep Python from complaining once more when it flushes at its end."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Terminated(BaseException):
    """SIGTERM, as an exception that lets `finally` clean up."""


@contextmanager
def _terminable() -> Iterator[None]:
    def raise_it(_number: int, _frame: FrameType | None) -> None:
        raise _Terminated

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # What was ignored before stays so: that is what nohup is for.
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, raise_it) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let a cleanup finish, whatever signals come meanwhile."""
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
