"""How a command ends: exit statuses, errors without a traceback, and signals."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from types import FrameType
from typing import Never

import typer

from bridge.cli.terminal import print_error
from bridge.errors import BridgeError, EngineError, KeysUnavailableError
from bridge.escapes import shown


class Exit(IntEnum):
    """The exit statuses of all commands."""

    OK = 0
    DENIED = 1
    """`check`: denied. `push`: some resources were left out. `conformance`: an answer differs."""
    USAGE = 2
    """A command line, a token or input that cannot be used; nothing was done."""
    FAULT = 3
    """The engine or the source of the keys failed."""
    INTERRUPTED = 130
    TERMINATED = 143
    PIPE = 141


def end(text: str, status: Exit) -> Never:
    """Print why on standard error, and exit with `status`."""
    print_error(text)
    raise typer.Exit(status)


@contextmanager
def reported_errors() -> Iterator[None]:
    """Turn usage errors and faults into a line on standard error and an exit status."""
    with _termination_raised(), _warnings_printed():
        try:
            yield
        except (EngineError, KeysUnavailableError) as error:
            end(str(error), Exit.FAULT)
        except BridgeError as error:
            end(str(error), Exit.USAGE)
        except BrokenPipeError:
            discard_output()
            raise typer.Exit(Exit.PIPE) from None
        except OSError as error:
            if error.filename is None:  # such as a full disk behind standard output
                discard_output()
            name = f"`{shown(error.filename)}`: " if error.filename is not None else ""
            end(f"{name}{(error.strerror or str(error)).lower()}", Exit.USAGE)
        except _TerminationSignal:
            raise typer.Exit(Exit.TERMINATED) from None
        except KeyboardInterrupt:
            raise typer.Exit(Exit.INTERRUPTED) from None


class _WarningPrinter(logging.Handler):
    """Prints the warnings of the library as those of the command."""

    def emit(self, record: logging.LogRecord) -> None:
        print_error(record.getMessage())


@contextmanager
def _warnings_printed() -> Iterator[None]:
    handler = _WarningPrinter()
    log = logging.getLogger("bridge")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def discard_output() -> None:
    """Discard standard output, so that Python reports no second error when it flushes at exit."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _TerminationSignal(BaseException):
    """SIGTERM or SIGHUP, as an exception that lets `finally` clean up."""


@contextmanager
def _termination_raised() -> Iterator[None]:
    def raise_it(_number: int, _frame: FrameType | None) -> None:
        raise _TerminationSignal

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # A signal that is ignored stays ignored: nohup relies on that.
    numbers_to_raise = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    earlier_handlers = {number: signal.signal(number, raise_it) for number in numbers_to_raise}
    try:
        yield
    finally:
        for number, handler in earlier_handlers.items():
            signal.signal(number, handler)


@contextmanager
def signals_ignored() -> Iterator[None]:
    """Ignore signals, so that a cleanup can finish."""
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    earlier_handlers = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in earlier_handlers.items():
            signal.signal(number, handler)
