"""Files that a command writes: whole or not at all, and none that somebody else made."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.errors import Misuse

if TYPE_CHECKING:
    from collections.abc import Mapping

_PACKAGE: Final = re.compile(rb"^package [^\s]+", re.MULTILINE)
_WASM: Final = b"\0asm"
_MODE: Final = 0o644


def write_files(files: Mapping[Path, bytes]) -> None:
    """Write Rego modules and Wasm builds, in place of earlier ones only.

    Raises:
        Misuse: One of the files is there and is something else; none has been written.
        OSError: A file cannot be read or written.
    """
    for path, data in files.items():
        if path.exists() and not _is_earlier(path.read_bytes(), data):
            raise Misuse(f"`{path}` is there already, and not from an earlier run: nothing was written")
    for path, data in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, data)


def _is_earlier(there: bytes, new: bytes) -> bool:
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
