"""Files that a command writes: whole or not at all, and none that somebody else made."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.errors import Misuse
from bridge.files import INPUT_BYTES, read_file
from bridge.rendering import is_rule_set

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PACKAGE: Final = re.compile(rb"^package [^\s]+", re.MULTILINE)
_RENDERED: Final = b"# METADATA\n"
_WASM: Final = b"\0asm"
_JSON: Final = b"{"
_MODE: Final = 0o644


def write_files(files: Mapping[Path, bytes], is_earlier: Callable[[bytes, bytes], bool] | None = None) -> None:
    """Write files, in place of earlier ones only.

    Args:
        files: What to write.
        is_earlier: Whether what is there (first) is an earlier one of what is to be written (second); by default for
            Rego modules, which are known by their packages, for Wasm builds and for rule-set files.

    Raises:
        Misuse: One of the files is there and is something else; none has been written.
        OSError: A file cannot be read or written.
    """
    for path, data in files.items():
        refuse_foreign(path, data, is_earlier)
    for path, data in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, data)


def refuse_foreign(path: Path, data: bytes, is_earlier: Callable[[bytes, bytes], bool] | None = None) -> None:
    """Refuse to write in place of a file that is something else; arguments and errors as for `write_files`."""
    if path.exists() and not (is_earlier or _is_earlier)(_there(path), data):
        raise Misuse(f"`{path}` is there already, and not from an earlier run: nothing was written")


def is_wasm(path: Path) -> bool:
    """Whether a file begins as Wasm does.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        return file.read(len(_WASM)) == _WASM


def remove_module(path: Path, package: str) -> bool:
    """Remove the module of an earlier run, with its folder where that is empty then; whether it was one.

    Raises:
        OSError: It cannot be read or removed.
    """
    try:
        text = _there(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not text.startswith(_RENDERED) or not _is_earlier(text, f"package {package}".encode()):
        return False
    path.unlink()
    with contextlib.suppress(OSError):  # somebody else's files are in it
        path.parent.rmdir()
    return True


def _there(path: Path) -> bytes:
    """What is there already; nothing an earlier run would have left where it is longer than any file of ours."""
    try:
        return read_file(path, limit=INPUT_BYTES, what="a file of an earlier run")
    except Misuse:
        return b""


def _is_earlier(there: bytes, new: bytes) -> bool:
    if new.startswith(_JSON):
        return is_rule_set(there)
    if new.startswith(_WASM):
        return there.startswith(_WASM)
    found, wanted = _PACKAGE.search(there), _PACKAGE.search(new)
    return found is not None and wanted is not None and found[0] == wanted[0]


def _replace(path: Path, data: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(data)
        Path(name).chmod(_MODE)
        Path(name).replace(path)
    except BaseException:
        os.unlink(name)  # noqa: PTH108 - as mkstemp
        raise
