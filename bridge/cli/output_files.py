"""Files that a command writes: all of them or none, in place of earlier ones only; no half of a set looks whole."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.cli.exit import forget_output
from bridge.errors import UsageError
from bridge.escapes import shown
from bridge.rendering import is_rendered, is_rule_set, paths_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_PACKAGE: Final = re.compile(r"^package ([A-Za-z0-9_.]+)\s*$", re.MULTILINE)
_WASM: Final = b"\0asm"
_JSON: Final = b"{"
_MODE: Final = 0o644
_LONGEST: Final = 1_048_576


def write_files(
    files: Mapping[Path, bytes],
    is_earlier: Callable[[Path, bytes, bytes], bool],
    *,
    last: Path | None = None,
    stale: Iterable[Path] = (),
) -> None:
    """Write files, in place of earlier ones only: all of them beside their places first, and then into them.

    Args:
        files: What to write.
        is_earlier: Whether what is at a path (first) is an earlier one (second) of what is to be written there (third).
        last: The one of the files without which the others are not taken for a whole set. An earlier one of it is
            removed before any of the others is replaced, and the new one comes after all of them.
        stale: Files of an earlier set that this one has not; they are removed in between.

    Raises:
        UsageError: One of the files is there and is something else, and nothing was written; or one of them cannot be
            written, and the text says which were.
    """
    for path, data in files.items():
        refuse_foreign(path, data, is_earlier)
    folders: list[Path] = []
    beside: dict[Path, Path] = {}
    done: list[Path] | None = None
    path = Path()
    try:
        for path, data in files.items():
            folders += _made(path.parent)
            beside[path] = _beside(path)
            _fill(beside[path], data)
        done = []
        if last is not None:
            path = last
            last.unlink(missing_ok=True)
        for path in stale:
            path.unlink(missing_ok=True)
        for path in sorted(files, key=lambda path: path == last):
            _renamed(beside[path], path)
            done.append(path)
    except BaseException as error:
        for temporary in beside.values():
            temporary.unlink(missing_ok=True)
        for folder in reversed(folders):
            with contextlib.suppress(OSError):  # something is in it
                folder.rmdir()
        if isinstance(error, OSError):
            raise UsageError(f"`{shown(path)}`: {_why(error)}: {_outcome(files, done, last)}") from None
        raise
    for path in stale:
        with contextlib.suppress(OSError):  # somebody else's files are in it
            path.parent.rmdir()


@contextlib.contextmanager
def after_writing(files: Iterable[Path]) -> Iterator[None]:
    """Let an error of standard output say that the files are there all the same.

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
        forget_output()
        names = ", ".join(f"`{shown(path)}`" for path in files)
        raise UsageError(f"standard output: {_why(error)}; these files were written: {names}") from None


def is_earlier_rendering(folder: Path | None, package_root: str) -> Callable[[Path, bytes, bytes], bool]:
    """What tells whether a file is from an earlier `render` of this package root, by what it begins with.

    Args:
        folder: Where the modules go.
        package_root: The package root.
    """

    def is_earlier(path: Path, there: bytes, new: bytes) -> bool:
        if new.startswith(_WASM):
            return there.startswith(_WASM)
        if new.startswith(_JSON):
            return is_rule_set(there)
        assert folder is not None
        return _is_rendered(path.relative_to(folder).as_posix(), there, package_root)

    return is_earlier


def is_earlier_rule_set(_: Path, there: bytes, new: bytes) -> bool:  # noqa: ARG001 - as `write_files` calls it
    """Whether a file is a rule-set file."""
    return is_rule_set(there)


def stale_modules(folder: Path, package_root: str, paths: Iterable[str]) -> list[Path]:
    """The modules of an earlier run that the rules have no more.

    Args:
        folder: Where the modules are.
        package_root: The package root.
        paths: The paths of the modules that the rules have.

    Raises:
        OSError: One of them cannot be read.
    """
    gone = sorted(paths_of(package_root) - set(paths))
    return [folder / path for path in gone if _is_module(folder, path, package_root)]


def refuse_nested_rules(folder: Path, package_root: str) -> None:
    """Refuse a package root above or below that of other rules in the folder: they would overwrite each other's files.

    Raises:
        UsageError: There are such rules.
        OSError: The folder cannot be read.
    """
    names = package_root.split(".")
    others = {".".join(names[:length]) for length in range(1, len(names))}
    found = {root for root in others if any(_is_module(folder, path, root) for path in paths_of(root))}
    below = folder.joinpath(*names)
    for path in sorted(below.rglob("*.rego")) if below.is_dir() else ():
        parts = path.relative_to(folder).parts
        root = ".".join(parts[:-1])
        # The one that all others of a set are imported by is called as its folder.
        if root != package_root and parts[-1] == f"{parts[-2]}.rego" and _is_module(folder, "/".join(parts), root):
            found.add(root)
    if found:
        raise UsageError(
            f"`{shown(folder)}` has rules of the package root `{min(found)}`, and those of `{package_root}` would lie "
            "above or below them: nothing was written; choose another folder or another package root"
        )


def refuse_foreign(path: Path, data: bytes, is_earlier: Callable[[Path, bytes, bytes], bool]) -> None:
    """Refuse to write in place of a file that is something else; arguments as for `write_files`.

    Raises:
        UsageError: There is one.
        OSError: It cannot be read.
    """
    if path.exists() and not is_earlier(path, _read(path, len(data)), data):
        raise UsageError(f"`{shown(path)}` is there already, and not from an earlier run: nothing was written")


def is_wasm(path: Path) -> bool:
    """Whether a file begins as Wasm does.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        return file.read(len(_WASM)) == _WASM


def _is_module(folder: Path, path: str, package_root: str) -> bool:
    try:
        with (folder / path).open("rb") as file:
            return _is_rendered(path, file.read(_LONGEST), package_root)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False


def _is_rendered(path: str, data: bytes, package_root: str) -> bool:
    text = data.decode("utf-8", errors="replace")
    match = _PACKAGE.search(text)
    return match is not None and is_rendered(path, text, tuple(match[1].split(".")), package_root)


def _read(path: Path, size: int) -> bytes:
    """What is there, and no more of it than any earlier file could have."""
    with path.open("rb") as file:
        return file.read(max(size, _LONGEST) + 1)


def _made(folder: Path) -> list[Path]:
    """Make a folder; gives those that were not there, from above."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing[::-1]


def _beside(path: Path) -> Path:
    """An empty file beside a path, of the same kind of name."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    return Path(name)


def _fill(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    path.chmod(_MODE)


def _renamed(temporary: Path, path: Path) -> None:
    temporary.replace(path)


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _outcome(files: Mapping[Path, bytes], done: list[Path] | None, last: Path | None) -> str:
    if done is None:
        return "nothing was written"
    names = ", ".join(f"`{shown(path)}`" for path in done) or "none of the files"
    missing = ", ".join(f"`{shown(path)}`" for path in files if path not in done)
    whole = "" if last is None else f"; without `{shown(last)}`, which comes last, they are no whole set"
    return f"written: {names}; not written: {missing}{whole}; run it again when that can be mended"
