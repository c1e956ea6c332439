"""Where the vectors lie."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bridge.errors import UsageError

_PACKAGE: Final = Path(__file__).resolve().parent.parent
_TOKENS: Final = "tokens"
_SCHEMA: Final = "schema.json"


def vectors_root() -> Path:
    """The folder of the vectors: inside the package where it was installed from a wheel, in `tests` in a checkout."""
    installed = _PACKAGE / "vectors"
    return installed if installed.is_dir() else _PACKAGE.parent / "tests" / "vectors"


def policy_files(folder: Path) -> tuple[Path, ...]:
    """The files about decisions in a folder of vectors, in order."""
    return tuple(sorted(path for path in folder.glob("*.json") if not path.name.endswith(_SCHEMA)))


def token_files(folder: Path) -> tuple[Path, ...]:
    """The files about tokens in a folder of vectors, in order."""
    return policy_files(folder / _TOKENS)


def require_vectors(folder: Path) -> None:
    """Refuse a folder without vectors.

    Raises:
        UsageError: There are none.
    """
    if not policy_files(folder) and not token_files(folder):
        raise UsageError(f"`{folder}`: no folder with vectors, which are `*.json` and `{_TOKENS}/*.json`")
