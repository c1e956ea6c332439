"""Times reading 8 MB of JSON against 1 MB, for texts that are hard for a parser: a ratio of about 8 is linear.

Needs `tests` on the path: PYTHONPATH=tests .venv/bin/python -m benchmarks.json_linear
"""

from __future__ import annotations

import argparse
import gc
import time

from json_shapes import SHAPES

from bridge.errors import MalformedInputError
from bridge.strict_json import parse


def seconds(texts: list[bytes]) -> float:
    """Return the CPU time of reading the texts, without the garbage collector, whose cost grows with the run."""
    kept = []
    gc.collect()
    gc.disable()
    try:
        start = time.process_time()
        for text in texts:
            try:
                kept.append(parse(text))
            except MalformedInputError as refused:
                kept.append(refused)
        return time.process_time() - start
    finally:
        gc.enable()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    for name, shape in SHAPES.items():
        small, large = shape(1_000_000), shape(8_000_000)
        # 1 MB eight times with all that was read kept, so that both sides fill as much memory: what does not fit the
        # processor's caches takes longer, however it is read.
        one = min(seconds([small] * 8) / 8 for _ in range(rounds))
        eight = min(seconds([large]) for _ in range(rounds))
        print(f"{name:40} {eight / one:5.1f}   1 MB: {one * 1_000:6.1f} ms")


if __name__ == "__main__":
    main()
