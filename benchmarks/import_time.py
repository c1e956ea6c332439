"""The CPU time of `import bridge` in a fresh interpreter, here and at another revision, and their ratio."""

from __future__ import annotations

import argparse
import io
import os
import resource
import statistics
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

HERE: Final = Path(__file__).resolve().parent.parent
CODES: Final = ("import bridge", "from bridge import PolicyBridge; PolicyBridge()")


def seconds(code: str, tree: Path, cache: str) -> float:
    """Return the CPU seconds of a fresh interpreter that runs this code with the package of a tree."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"PYTHONPATH": str(tree), "PYTHONPYCACHEPREFIX": cache}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, cwd=cache, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def unpack(revision: str, folder: Path) -> None:
    """Write the package and the rules of a revision into a folder."""
    command = ["git", "-C", str(HERE), "archive", revision, "bridge", "rego"]
    with tarfile.open(fileobj=io.BytesIO(subprocess.run(command, check=True, capture_output=True).stdout)) as tree:
        tree.extractall(folder, filter="data")


def main() -> None:
    """Measure both trees in turn, so that both see the same load of the machine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision", help="the revision of git to compare with")
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="jwt-bridge-") as name:
        there, cache = Path(name, "tree"), Path(name, "cache")
        cache.mkdir()
        unpack(options.revision, there)
        for code in CODES:
            for tree in (HERE, there):
                seconds(code, tree, str(cache))  # compiles the modules
            rounds = [
                (seconds(code, HERE, str(cache)), seconds(code, there, str(cache))) for _ in range(options.rounds)
            ]
            here, before = (statistics.median(each) for each in zip(*rounds, strict=True))
            ratio = statistics.median(one / other for one, other in rounds)
            print(f"{code}: {1000 * here:.0f} ms, at {options.revision} {1000 * before:.0f} ms, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
