"""The OPA servers that are measured, and their memory as the operating system reports it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import urllib3

from bridge import OpaEngine, PolicyBridge
from bridge.opa import ManagedOpa, OpaClient

if TYPE_CHECKING:
    from types import TracebackType

# Not a line of log for every question: nobody's time is to be that of a pipe.
_ARGUMENTS: Final = ("--log-level=error", "--pprof")
_DEADLINE: Final = 600.0
_SETTLED: Final = 0.005
_MOST_SECONDS: Final = 120.0


class Server:
    """An OPA process with the rules installed.

    Attributes:
        url: Where it is.
        bridge: Asks it.
    """

    def __init__(self) -> None:
        self._opa = ManagedOpa(arguments=_ARGUMENTS, ready_within=60.0)
        self.url = self._opa.url
        self.bridge = self.new_bridge()
        self.bridge.install()

    def new_bridge(self, url: str | None = None) -> PolicyBridge:
        return PolicyBridge(OpaEngine(OpaClient(url or self.url, deadline=_DEADLINE)))

    @property
    def pid(self) -> int:
        return self._opa.pid

    def collect(self) -> None:
        """Make Go collect its garbage twice, and wait until it has returned the memory."""
        with urllib3.PoolManager() as http:
            for _ in range(2):
                http.request("GET", f"{self.url}/debug/pprof/heap?gc=1")
        end = time.monotonic() + _MOST_SECONDS
        before = self.memory("VmRSS")
        while time.monotonic() < end:
            time.sleep(2)
            now = self.memory("VmRSS")
            if abs(before - now) <= _SETTLED * before:
                return
            before = now

    def memory(self, name: str) -> int:
        """Return `VmRSS` or `VmHWM`, in bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
        raise LookupError(name)

    def live(self) -> int:
        """Return the bytes in use in Go's heap, from OPA's metrics."""
        with urllib3.PoolManager() as http:
            text = http.request("GET", f"{self.url}/metrics").data.decode()
        return int(
            next(
                float(line.split()[1]) for line in text.splitlines() if line.startswith("go_memstats_heap_alloc_bytes ")
            )
        )

    def forget_peak(self) -> None:
        """Reset `VmHWM`."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5", encoding="ascii")

    def stop(self) -> None:
        self.bridge.close()
        self._opa.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
