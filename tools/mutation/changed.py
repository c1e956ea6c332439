"""Which files differ from another revision, so that their mutants alone are judged."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_MAIN: Final = "origin/main"


class UnknownRevisionError(Exception):
    """Git cannot compare with the revision."""


def default_base(root: Path) -> str:
    """Where HEAD left `origin/main`; the commit before HEAD where there is no `origin/main`."""
    try:
        return _git(root, "merge-base", "HEAD", _MAIN).strip()
    except UnknownRevisionError:
        return "HEAD~1"


def changed_since(root: Path, base: str) -> frozenset[str]:
    """The files below the root that differ from a revision, committed or not, and those that git does not know yet.

    Raises:
        UnknownRevisionError: There is no such revision, or no git.
    """
    commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}").strip()
    differ = _git(root, "diff", "--name-only", "--no-renames", "--relative", "-z", commit, "--", ".")
    new = _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", ".")
    return frozenset(filter(None, (differ + new).split("\0")))


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=True)
    except OSError as error:
        raise UnknownRevisionError(f"git cannot be run: {error}") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip() or "there is no such revision"
        raise UnknownRevisionError(f"`git {' '.join(arguments)}`: {said}") from None
    return done.stdout
