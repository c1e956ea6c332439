"""Write the files of a command: all or none, and only over its own earlier files; no partial set looks complete."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from bridge.cli.exit import discard_output
from bridge.errors import UsageError
from bridge.escapes import shown
from bridge.rendering import is_rendered, is_rule_set, paths_of

_PACKAGE: Final = re.compile(r"^package ([A-Za-z0-9_.]+)\s*$", re.MULTILINE)
_WASM: Final = b"\0asm"
_JSON: Final = b"{"
_MODE: Final = 0o644
_MAX_BYTES: Final = 1_048_576


def write_files(
    files: Mapping[Path, bytes],
    may_replace: Callable[[Path, bytes, bytes], bool],
    *,
    last: Path | None = None,
    stale: Iterable[Path] = (),
) -> None:
    """Write files, and replace only earlier ones: write all of them to temporary files first, then move them.

    Args:
        files: The content by path.
        may_replace: A function that returns whether a path (first) holds an earlier version (second) of the new
            content (third).
        last: The file without which the others are no complete set. Its earlier version is removed before any other
            file is replaced, and its new one is moved into place after all others.
        stale: Files of an earlier set that the new set does not have; they are removed in between.

    Raises:
        UsageError: A foreign file has the name of one of the files, and nothing was written; or a file cannot be
            written, and the text names those that were.
    """
    for path, data in files.items():
        refuse_foreign(path, data, may_replace)
    folders: list[Path] = []
    temporaries: dict[Path, Path] = {}
    written: list[Path] | None = None
    path = Path()
    try:
        for path, data in files.items():
            folders += _make_folders(path.parent)
            temporaries[path] = _create_temporary(path)
            _write(temporaries[path], data)
        written = []
        if last is not None:
            path = last
            last.unlink(missing_ok=True)
        for path in stale:
            path.unlink(missing_ok=True)
        for path in sorted(files, key=lambda path: path == last):
            _move(temporaries[path], path)
            written.append(path)
    except BaseException as error:
        for temporary in temporaries.values():
            temporary.unlink(missing_ok=True)
        for folder in reversed(folders):
            with contextlib.suppress(OSError):  # it is not empty
                folder.rmdir()
        if isinstance(error, OSError):
            raise UsageError(f"`{shown(path)}`: {_cause(error)}: {_written_so_far(files, written, last)}") from None
        raise
    for path in stale:
        with contextlib.suppress(OSError):  # it holds foreign files
            path.parent.rmdir()


@contextlib.contextmanager
def after_writing(files: Iterable[Path]) -> Iterator[None]:
    """Let an error of standard output name the files that were written before it.

    Raises:
        UsageError: Standard output cannot be written.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename is not None:
            raise
        discard_output()
        names = ", ".join(f"`{shown(path)}`" for path in files)
        raise UsageError(f"standard output: {_cause(error)}; these files were written: {names}") from None


def rendering_may_replace(folder: Path | None, package_root: str) -> Callable[[Path, bytes, bytes], bool]:
    """Return a function that tells whether an earlier `render` of this package root wrote a file.

    Args:
        folder: The folder of the modules.
        package_root: The package root.
    """

    def may_replace(path: Path, existing: bytes, new: bytes) -> bool:
        if new.startswith(_WASM):
            return existing.startswith(_WASM)
        if new.startswith(_JSON):
            return is_rule_set(existing)
        assert folder is not None
        return _is_rendered(path.relative_to(folder).as_posix(), existing, package_root)

    return may_replace


def rule_set_may_replace(_: Path, existing: bytes, new: bytes) -> bool:  # noqa: ARG001 - as `write_files` calls it
    """Return whether the existing file is a rule-set file."""
    return is_rule_set(existing)


def stale_modules(folder: Path, package_root: str, paths: Iterable[str]) -> list[Path]:
    """Return the modules of an earlier run that the rules no longer have.

    Args:
        folder: The folder of the modules.
        package_root: The package root.
        paths: The paths of the modules that the rules have.

    Raises:
        OSError: One of them cannot be read.
    """
    obsolete = sorted(paths_of(package_root) - set(paths))
    return [folder / path for path in obsolete if _is_module(folder, path, package_root)]


def refuse_nested_rules(folder: Path, package_root: str) -> None:
    """Refuse a package root above or below that of other rules in the folder: they would overwrite each other's files.

    Raises:
        UsageError: There are such rules.
        OSError: The folder cannot be read.
    """
    names = package_root.split(".")
    others = {".".join(names[:length]) for length in range(1, len(names))}
    nested_roots = {root for root in others if any(_is_module(folder, path, root) for path in paths_of(root))}
    below = folder.joinpath(*names)
    for path in sorted(below.rglob("*.rego")) if below.is_dir() else ():
        parts = path.relative_to(folder).parts
        root = ".".join(parts[:-1])
        # The main module of a rule set has the name of its folder.
        if root != package_root and parts[-1] == f"{parts[-2]}.rego" and _is_module(folder, "/".join(parts), root):
            nested_roots.add(root)
    if nested_roots:
        raise UsageError(
            f"`{shown(folder)}` has rules of the package root `{min(nested_roots)}`, and those of `{package_root}` "
            "would lie above or below them: nothing was written; choose another folder or another package root"
        )


def refuse_foreign(path: Path, data: bytes, may_replace: Callable[[Path, bytes, bytes], bool]) -> None:
    """Refuse to replace a foreign file; the arguments are those of `write_files`.

    Raises:
        UsageError: The path holds a foreign file.
        OSError: It cannot be read.
    """
    if path.exists() and not may_replace(path, _read(path, len(data)), data):
        raise UsageError(f"`{shown(path)}` exists, and no earlier run wrote it: nothing was written; move it away")


def is_wasm(path: Path) -> bool:
    """Return whether a file begins like Wasm.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        return file.read(len(_WASM)) == _WASM


def _is_module(folder: Path, path: str, package_root: str) -> bool:
    try:
        with (folder / path).open("rb") as file:
            return _is_rendered(path, file.read(_MAX_BYTES), package_root)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False


def _is_rendered(path: str, data: bytes, package_root: str) -> bool:
    text = data.decode("utf-8", errors="replace")
    match = _PACKAGE.search(text)
    return match is not None and is_rendered(path, text, tuple(match[1].split(".")), package_root)


def _read(path: Path, size: int) -> bytes:
    """Return what a path holds, but no more than an earlier file could have."""
    with path.open("rb") as file:
        return file.read(max(size, _MAX_BYTES) + 1)


def _make_folders(folder: Path) -> list[Path]:
    """Create a folder; return all folders that did not exist, the topmost first."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing[::-1]


def _create_temporary(path: Path) -> Path:
    """Create an empty file beside a path, with a similar name."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    return Path(name)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    path.chmod(_MODE)


def _move(temporary: Path, path: Path) -> None:
    temporary.replace(path)


def _cause(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _written_so_far(files: Mapping[Path, bytes], written: list[Path] | None, last: Path | None) -> str:
    if written is None:
        return "nothing was written"
    names = ", ".join(f"`{shown(path)}`" for path in written) or "none of the files"
    missing = ", ".join(f"`{shown(path)}`" for path in files if path not in written)
    whole = "" if last is None else f"; without `{shown(last)}`, which comes last, they are no complete set"
    return f"written: {names}; not written: {missing}{whole}; correct the cause, and run it again"
