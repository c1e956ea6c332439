"""Pushes for a test that kills.

For each line it reads, `URL STATE RESOURCES`, it forks a child that pushes that state,
without comparing it first with what is there, which is no moment worth a kill.

It says the child's process id, and how it ended.
"""

from __future__ import annotations

import os
import signal
import sys

from bridge import OpaClient, OpaEngine, PolicyBridge
from bridge.store import from_objects, patches

PART_BYTES = 4_000


def state(number: int, resources: int) -> list[dict[str, object]]:
    """The resources of a state: every one says which, some are in no other, and their postings are of all kinds."""
    ids = [f"d{n}" for n in range(resources)] + [f"only-{number}-{n}" for n in range(1 + number % 7)]
    return [{"id": id_, "custom_data": {"state": number, "n": n, "third": n % 3}} for n, id_ in enumerate(ids)]


def main() -> None:
    patches._PART = PART_BYTES  # type: ignore[misc] # so that a push is of many parts
    for line in sys.stdin:
        url, number, resources = line.split()
        child = os.fork()
        if child == 0:
            with PolicyBridge(OpaEngine(OpaClient(url, deadline=60))) as bridge:
                bridge.engine.store.replace("devices", from_objects(state(int(number), int(resources))).resources)
            os._exit(0)
        print(child, flush=True)  # noqa: T201
        _, status = os.waitpid(child, 0)
        print("killed" if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL else status, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
