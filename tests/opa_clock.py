"""A clock in place of the one that the OPA client goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest
SAFETY = 60.0


class OpaClock:
    """A clock that stands still but for those who move it, in place of the module `time`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        self.pauses: list[float] = []
        monkeypatch.setattr("bridge.http.retries.monotonic", self.monotonic)
        monkeypatch.setattr("bridge.http.sockets.time", self)
        monkeypatch.setattr("bridge.http.session.sleep", self.pause)

    def monotonic(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
