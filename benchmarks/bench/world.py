"""What the measurements share: sizes, files and servers, each created at first use."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from benchmarks.bench.fleet import Fleet
from benchmarks.bench.servers import Server
from benchmarks.bench.wire import PoolFloor

SMALL: Final = 10_000
PLAIN: Final = "/v1/data/plain/devices"
_HERE: Final = Path(__file__).parent
_ROOT: Final = _HERE.parents[1]


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of a run.

    Attributes:
        resources: How many resources the large store has.
        page: How many ids a full page of a list has.
        batch: How many decisions are asked at once.
        pushes: How many rounds of whole pushes.
        scale: How many rounds there are of those that are usual.
    """

    resources: int
    page: int
    batch: int
    pushes: int
    scale: float


class World:
    """The files and servers of one run.

    Args:
        sizes: The sizes of a run.
        seed: What the data is made by.
        folder: Where files may be put.
    """

    def __init__(self, sizes: Sizes, seed: int, folder: Path) -> None:
        self.sizes = sizes
        self.seed = seed
        self.folder = folder
        self.fleet = Fleet(sizes.resources, sizes.page, seed)
        self.small_fleet = Fleet(SMALL, min(sizes.page, SMALL // 10), seed)
        self._stack = ExitStack()

    def rounds(self, usual: int) -> int:
        return max(3, round(usual * self.sizes.scale))

    def tell(self, text: str) -> None:
        """Print the progress of the run."""
        print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)

    @cached_property
    def file(self) -> Path:
        """Return the file of the resources as JSON Lines."""
        path = self.folder / "devices.jsonl"
        self.tell(f"writing {self.fleet.count:,} resources")
        self.fleet.write(path)
        return path

    @cached_property
    def changed_file(self) -> Path:
        """Return a file with one in a hundred resources changed."""
        path = self.folder / "changed.jsonl"
        self.fleet.write(path, moved=100)
        return path

    @cached_property
    def small_file(self) -> Path:
        path = self.folder / "few.jsonl"
        self.small_fleet.write(path)
        return path

    @cached_property
    def large(self) -> Server:
        """Return a server with all resources, pushed by the bridge."""
        server = self.server()
        self.tell(f"pushing {self.fleet.count:,} resources by the bridge")
        self.push(self.file, server)
        return server

    @cached_property
    def small(self) -> Server:
        """Return a server with 10,000 resources, pushed by the bridge."""
        server = self.server()
        self.push(self.small_file, server)
        return server

    @cached_property
    def plain(self) -> Server:
        """Return a server with all resources as one document from the plain script, and rules that scan it."""
        server = self.server()
        self.tell(f"putting {self.fleet.count:,} resources plainly")
        self.push_plainly(self.file, server)
        floor = PoolFloor(server.url)
        floor.send("PUT", "/v1/policies/scan.rego", (_HERE / "scan.rego").read_bytes())
        floor.close()
        return server

    def server(self) -> Server:
        """Start another server, which stops at the end of the run."""
        return self._stack.enter_context(Server())

    def push(self, file: Path, server: Server) -> None:
        """Push by the command line, in a separate process."""
        run("-m", "bridge", "push", "--force", "--type", "devices", str(file), "--opa-url", server.url)

    def push_plainly(self, file: Path, server: Server) -> None:
        """Push by the plain script, in a separate process."""
        run(str(_HERE / "plain_push.py"), str(file), server.url + PLAIN)

    def close(self) -> None:
        self._stack.close()


def run(*arguments: str) -> None:
    """Run this Python.

    Raises:
        RuntimeError: It failed.
    """
    done = subprocess.run([sys.executable, *arguments], cwd=_ROOT, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr.decode(errors='replace')[-500:]}")
