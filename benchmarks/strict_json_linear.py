"""How the time of reading JSON text grows with its size: 8 MB against 1 MB, for shapes of text that aim at trouble."""

from __future__ import annotations

import argparse
import gc
import time

from bridge.errors import MalformedInput
from bridge.strict_json import parse


def filled(before: str, unit: str, after: str, size: int, separator: str = ",") -> bytes:
    return (before + separator.join([unit] * (size // (len(unit) + len(separator)))) + after).encode()


OBJECT = '{"id":"a1","custom_data":{"user":"u1","n":1.5}}'
SHAPES = {
    "many small objects": lambda size: filled("[", OBJECT, "]", size),
    "many members": lambda size: (
        "{" + ",".join(f'"{number:07}{"x" * 90}":{number}' for number in range(size // 107)) + "}"
    ).encode(),
    "one string of escapes": lambda size: filled('"', '\\u00e9\\n\\"\\\\ab', '"', size, ""),
    "one string of escaped pairs": lambda size: filled('["', "\\ud83d\\ude00", '"]', size, ""),
    "one string of raw characters": lambda size: b'["' + "\U0001f600é".encode() * (size // 6) + b'"]',
    "many numbers": lambda size: filled("[", "12345678901234567e-20,1.5,-0,1e30,7", "]", size),
    "nested": lambda size: filled("[", "[" * 60 + "1" + "]" * 60, "]", size),
    "one number": lambda size: b"1" * size,
    "space": lambda size: b" " * size + b"1",
    "lines refused at the end": lambda size: filled("[", OBJECT, ",]", size, ",\n"),
    "a member that comes again at the end": lambda size: filled('{"a":[', OBJECT, '],"a":1}', size),
    "nested too deep at the end": lambda size: filled("[", f'[["{"a" * 90}"]]', "," + "[" * 65, size),
    "a string without an end": lambda size: filled('"', "\\\\", "", size, ""),
    "a surrogate at the end": lambda size: filled("[", '"' + "\\u00e9" * 20 + '"', ',"\\ud800"]', size),
    "no utf-8 at the end": lambda size: filled("[", '"é"', "", size) + b'"\xff"]',
    "brackets": lambda size: b"[" * size,
}


def seconds(data: bytes, times: int) -> float:
    """CPU time of reading `data` so many times. All is kept, or else only the first would have to get memory.

    Without the garbage collector, which looks at all that the run has made so far, other tests' things too.
    """
    kept = []
    gc.collect()
    gc.disable()
    try:
        start = time.process_time()
        for _ in range(times):
            try:
                kept.append(parse(data))
            except MalformedInput as refused:
                kept.append(refused)
        return (time.process_time() - start) / times
    finally:
        gc.enable()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(f"{'shape':<40}{'ms for 1 MB':>12}{'8 MB / 1 MB':>12}")
    for name, shape in SHAPES.items():
        small, large = shape(1_000_000), shape(8_000_000)
        one = eight = float("inf")
        for _ in range(rounds):
            one = min(one, seconds(small, 2))
            eight = min(eight, seconds(large, 1))
        print(f"{name:<40}{one * 1e3:>12.2f}{eight / one:>12.1f}")


if __name__ == "__main__":
    main()
