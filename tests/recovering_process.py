"""One of several processes that bring back what an OPA lost: for a test that counts who does, and kills.

Arguments: the OPA's URL, seconds of patience, and a folder. For each line it reads it asks one question, and says the
reason of the decision. Its source writes its process id to the pipe `asked` of the folder, and gives the resources once
nobody holds the file `gate`.
"""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

from bridge import OpaClient, OpaEngine, PolicyBridge

CLAIMS: dict[str, object] = {"policy": {"version": 2, "devices": {"custom_data": {"n": 1}}}}
RESOURCES: list[object] = [{"id": f"d{n}", "custom_data": {"n": n % 2}} for n in range(20)]


def main() -> None:
    url, patience, folder = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])

    def source() -> list[object]:
        with (folder / "asked").open("a") as calls:
            print(os.getpid(), file=calls)
        with (folder / "gate").open() as gate:
            fcntl.flock(gate, fcntl.LOCK_SH)
        return RESOURCES

    engine = OpaEngine(OpaClient(url, deadline=60), sources={"devices": source}, patience=patience)
    with PolicyBridge(engine) as bridge:
        print("ready", flush=True)  # noqa: T201
        for _ in sys.stdin:
            print(bridge.check(CLAIMS, "devices", "d1").reason, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
