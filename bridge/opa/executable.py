"""The `opa` executable on this machine: how to find it, run it and end it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from bridge.errors import EngineTimeoutError, InvalidResponseError, OpaNotFoundError
from bridge.escapes import on_one_line
from bridge.opa.version import OLDEST, is_new_enough

VARIABLE: Final = "JWT_BRIDGE_OPA"
"""The environment variable that names the executable."""

_INSTALL: Final = (
    f"install opa {OLDEST} or newer (https://www.openpolicyagent.org/docs#running-opa, or "
    f"`go install github.com/open-policy-agent/opa@v1.22.4`) and put it on PATH, or name it in {VARIABLE}"
)
_VERSION: Final = re.compile(r"^Version: (\S+)$", re.MULTILINE)
_VERSION_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class OpaRun:
    """The result of a finished `opa` process.

    Attributes:
        status: The exit status: 0 for success, negative for a signal.
        stdout: Its output.
        stderr: Its error output.
    """

    status: int
    stdout: bytes
    stderr: str

    @property
    def message(self) -> str:
        """Return the error on one line; `opa build` writes it to its output, other commands to their error output."""
        return on_one_line(self.stderr) or on_one_line(self.stdout.decode(errors="replace"))


def find_opa(path: str | os.PathLike[str] | None = None) -> Path:
    """Return the executable: `path`, or the one that JWT_BRIDGE_OPA names, or the first usable one on PATH.

    If one is named, no other is searched for.

    Raises:
        OpaNotFoundError: There is none, or it is older than 1.20.1, or it is not OPA.
    """
    named = path if path is not None else os.environ.get(VARIABLE) or None
    if named is not None:
        if why := _unusable(named):
            raise OpaNotFoundError(f"`{os.fspath(named)}` cannot be used: {why}; {_INSTALL}")
        return Path(named).absolute()
    refused = []
    for folder in os.get_exec_path():
        if candidate := shutil.which("opa", path=folder or os.curdir):
            why = _unusable(candidate)
            if not why:
                return Path(candidate).absolute()
            refused.append(f"`{candidate}` cannot be used: {why}")
    raise OpaNotFoundError("; ".join([*refused, _INSTALL] if refused else ["there is no `opa` on PATH", _INSTALL]))


def run_opa(
    arguments: Sequence[str | os.PathLike[str]],
    *,
    executable: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    stdin: bytes = b"",
    seconds: float = 120.0,
) -> OpaRun:
    """Run `opa` to its end, such as `opa fmt`.

    Args:
        arguments: Its arguments.
        executable: The executable; None searches for it.
        folder: The working directory.
        stdin: Its input.
        seconds: The time limit, after which it is killed.

    Raises:
        OpaNotFoundError: There is no usable executable.
        EngineTimeoutError: It did not end in time.
    """
    opa = find_opa(executable)
    return _run(opa, arguments, folder, stdin, seconds)


def opa_environment() -> dict[str, str]:
    """Return this process's environment without the variables that set flags of `opa`."""
    return {name: value for name, value in os.environ.items() if not name.startswith("OPA_")}


def end_process(process: subprocess.Popen[bytes], owner: int, grace: float) -> None:
    """End a process: ask it to end, and kill it after `grace` seconds; do nothing in another process than `owner`."""
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


def _run(
    opa: str | os.PathLike[str],
    arguments: Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str] | None,
    stdin: bytes,
    seconds: float,
) -> OpaRun:
    try:
        result = subprocess.run(  # noqa: S603 - no shell; the executable is the one that the user named
            [opa, *arguments],
            cwd=folder,
            input=stdin,
            capture_output=True,
            timeout=seconds,
            check=False,
            env=opa_environment(),
        )
    except subprocess.TimeoutExpired:
        raise EngineTimeoutError(f"`opa {arguments[0]}` did not end within {seconds:g} s") from None
    except OSError as error:
        raise OpaNotFoundError(f"`{os.fspath(opa)}` cannot be run: {(error.strerror or str(error)).lower()}") from None
    return OpaRun(result.returncode, result.stdout, result.stderr.decode(errors="replace"))


def _unusable(opa: str | os.PathLike[str]) -> str:
    """Return why this file is no usable `opa`; an empty text if it is usable."""
    try:
        state = Path(opa).stat()
    except (OSError, ValueError):
        return "there is no such file"
    if not Path(opa).is_file() or not os.access(opa, os.X_OK):
        return "it is no executable file"
    return _checked_version(os.fspath(Path(opa).absolute()), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=32)
def _checked_version(opa: str, _changed: int, _size: int) -> str:
    try:
        run = _run(opa, ["version"], None, b"", _VERSION_SECONDS)
    except (OpaNotFoundError, EngineTimeoutError) as error:
        return str(error)
    match = _VERSION.search(run.stdout.decode(errors="replace"))
    try:
        is_fit = match is not None and is_new_enough(match[1])
    except InvalidResponseError:
        match = None
    if run.status != 0 or match is None:
        return "`opa version` does not print a version as opa does"
    return "" if is_fit else f"its version is {match[1]}, which compares numbers wrongly"
