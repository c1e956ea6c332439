"""Reading takes time linear in the size, whatever the text aims at.

The one test by a clock, of CPU time. 8 MB are read once, and 1 MB eight times with all that was read kept, so that both
fill as much memory: what does not fit the processor's caches takes longer, however it is read.
"""

from __future__ import annotations

import gc
import time

import pytest

from bridge.errors import MalformedInput
from bridge.strict_json import parse

MOST = 12
ROUNDS = 20


def filled(before: str, unit: str, after: str, size: int, separator: str = ",") -> bytes:
    return (before + separator.join([unit] * (size // (len(unit) + len(separator)))) + after).encode()


OBJECT = '{"id":"a1","custom_data":{"user":"u1","n":1.5}}'
SHAPES = {
    "many small objects": lambda size: filled("[", OBJECT, "]", size),
    "many empty arrays": lambda size: filled("[", "[]", "]", size),
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


def seconds(texts: list[bytes]) -> float:
    """CPU time of reading the texts, without the collector, which looks at all that the run has made so far."""
    kept = []
    gc.collect()
    gc.disable()
    try:
        start = time.process_time()
        for text in texts:
            try:
                kept.append(parse(text))
            except MalformedInput as refused:
                kept.append(refused)
        return time.process_time() - start
    finally:
        gc.enable()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_time_is_linear_in_the_size(shape):
    small, large = ([SHAPES[shape](megabytes * 1_000_000)] for megabytes in (1, 8))
    one = eight = float("inf")
    for _ in range(ROUNDS):  # until what else runs on the machine leaves room
        one = min(one, seconds(small * 8) / 8)
        eight = min(eight, seconds(large))
        if eight <= MOST * one:
            break
    assert eight <= MOST * one, f"{eight / one:.1f} times the time for 8 times the size"
