"""Many who ask one OPA that forgets, for a test that looks whether each of them ends.

Argument: settings in JSON. `url`; `kind`: `raise`, `deny`, `await`, or `all`, for four threads and four tasks at once;
`deadline`: seconds for each question; `until`: ask until all is well, or once. It says, as JSON, each outcome that it
had with how often, and by how many seconds a question ended after its deadline at most.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from recovering_process import CLAIMS, RESOURCES

from bridge import OpaClient, OpaEngine, PolicyBridge
from bridge.aio import AsyncOpaClient, AsyncOpaEngine, AsyncPolicyBridge
from bridge.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

WELL = "d1 matched, d2 constraint_failed, d1 listed"
MANY = 4


class OutcomeRecord:
    """What came of all questions."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.outcomes: Counter[str] = Counter()
        self.late = 0.0
        self._lock = threading.Lock()

    def note(self, outcome: str, began: float) -> None:
        late = time.monotonic() - began - self.deadline
        with self._lock:
            self.outcomes[outcome] += 1
            self.late = max(self.late, late)


def steps(record: OutcomeRecord, *, until_well: bool) -> Iterator[tuple[str, str]]:
    """Which to ask next, `check` or `list_allowed`, with which id; to be sent what came of it."""
    while True:
        outcomes = []
        for method, id_ in (("check", "d1"), ("check", "d2"), ("list_allowed", "d1")):
            began = time.monotonic()
            outcome = yield method, id_
            record.note(f"{id_} {outcome}", began)
            outcomes.append(f"{id_} {outcome}")
        if not until_well or ", ".join(outcomes) == WELL:
            return


def described(method: str, id_: str, answer: Any) -> str:
    if method == "check":
        return str(answer.reason)
    return "listed" if id_ in answer.ids else "not listed"


def ask(bridge: PolicyBridge, record: OutcomeRecord, *, until_well: bool) -> None:
    going = steps(record, until_well=until_well)
    outcome: str | None = None
    while True:
        try:
            method, id_ = going.send(outcome)
        except StopIteration:
            return
        try:
            answer = getattr(bridge, method)(CLAIMS, "devices", *([id_] if method == "check" else []))
            outcome = described(method, id_, answer)
        except EngineError as fault:
            outcome = type(fault).__name__


async def ask_awaiting(bridge: AsyncPolicyBridge, record: OutcomeRecord, *, until_well: bool) -> None:
    going = steps(record, until_well=until_well)
    outcome: str | None = None
    while True:
        try:
            method, id_ = going.send(outcome)
        except StopIteration:
            return
        try:
            answer = await getattr(bridge, method)(CLAIMS, "devices", *([id_] if method == "check" else []))
            outcome = described(method, id_, answer)
        except EngineError as fault:
            outcome = type(fault).__name__


async def awaiting(settings: dict[str, Any], record: OutcomeRecord, tasks: int) -> None:
    client = AsyncOpaClient(settings["url"], deadline=settings["deadline"])
    async with AsyncPolicyBridge(AsyncOpaEngine(client, sources={"devices": lambda: RESOURCES})) as bridge:
        await asyncio.gather(*[ask_awaiting(bridge, record, until_well=settings["until"]) for _ in range(tasks)])


def main() -> None:
    settings = json.loads(sys.argv[1])
    record = OutcomeRecord(settings["deadline"])
    kind = settings["kind"]
    threads = {"all": MANY, "await": 0}.get(kind, 1)
    tasks = {"all": MANY, "await": 1}.get(kind, 0)
    client = OpaClient(settings["url"], deadline=settings["deadline"])
    engine = OpaEngine(client, sources={"devices": lambda: RESOURCES})
    with (
        PolicyBridge(engine, on_error="deny" if kind == "deny" else "raise") as bridge,
        ThreadPoolExecutor(MANY) as pool,
    ):
        going = [pool.submit(ask, bridge, record, until_well=settings["until"]) for _ in range(threads)]
        if tasks:
            asyncio.run(awaiting(settings, record, tasks))
        for each in going:
            each.result()
    print(json.dumps({"outcomes": record.outcomes, "late": record.late}))  # noqa: T201


if __name__ == "__main__":
    main()
