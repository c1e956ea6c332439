"""The files that differ from another revision: only their mutants are judged."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_MAIN: Final = "origin/main"


class UnknownRevisionError(Exception):
    """Git cannot compare with the revision."""


def default_base(root: Path) -> str:
    """Return the commit where HEAD left `origin/main`, or the commit before HEAD if there is no `origin/main`."""
    try:
        return _git(root, "merge-base", "HEAD", _MAIN).strip()
    except UnknownRevisionError:
        return "HEAD~1"


def changed_since(root: Path, base: str) -> frozenset[str]:
    """Return the files below the root that differ from a revision, committed or not, and the untracked ones.

    Raises:
        UnknownRevisionError: There is no such revision, or git cannot be run.
    """
    commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}").strip()
    differ = _git(root, "diff", "--name-only", "--no-renames", "--relative", "-z", commit, "--", ".")
    new = _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", ".")
    return frozenset(filter(None, (differ + new).split("\0")))


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=True)
    except OSError as error:
        raise UnknownRevisionError(
            f"git cannot be run: {error}; install git, or leave out --changed and --base"
        ) from None
    except subprocess.CalledProcessError as error:
        cause = error.stderr.strip() or "there is no such revision"
        raise UnknownRevisionError(
            f"`git {' '.join(arguments)}`: {cause}; name a commit that exists with --base"
        ) from None
    return done.stdout
