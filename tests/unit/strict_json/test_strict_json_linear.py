"""Reading takes work linear in the size, whatever the text aims at.

Work is counted, not timed: each line of Python, each call, and each character that a call of the standard library looks
at. `benchmarks/json_linear.py` has the times.
"""

from __future__ import annotations

import sys
from json import JSONDecodeError

import pytest
from json_shapes import SHAPES

from bridge.errors import MalformedInputError
from bridge.strict_json import decode, numbers, parse, scanner

SMALL = 24_000
TIMES = 8
READERS = {module.__name__ for module in (decode, numbers, scanner)}
MOST = 8.1  # a part of the work is the same for all sizes, and the shapes are not exactly of their sizes


class Work:
    """What was done so far."""

    def __init__(self):
        self.done = 0

    def trace(self, frame, _event, _argument):
        if frame.f_globals["__name__"] not in READERS:
            return None
        self.done += 1
        return self.trace

    def profile(self, frame, _event, _argument):
        self.done += frame.f_globals["__name__"] in READERS


def counted_text(kind, work):
    """A `str` or `bytes` that adds to the work what its methods look at: all of it, if nothing better is known."""

    def counting(name, method):
        def call(self, *args):
            size = len(self)
            if name in ("count", "find", "rfind", "index", "rindex") and len(args) > 1:
                size = len(range(*slice(*args[1:3]).indices(size)))
            elif name == "startswith":
                size = len(args[0])
            elif name == "__getitem__" and isinstance(args[0], slice):
                size = len(range(*args[0].indices(size)))
            work.done += size
            return method(self, *args)

        return call

    free = {"__new__", "__init__", "__len__", "__class__", "__getattribute__", "__init_subclass__", "__subclasshook__"}
    methods = {name: value for name, value in vars(kind).items() if callable(value) and name not in free}
    return type(kind.__name__, (kind,), {name: counting(name, method) for name, method in methods.items()})


class CountedPattern:
    """A regular expression that adds to the work how far it looked; none of ours goes back."""

    def __init__(self, pattern, work):
        self._pattern = pattern
        self._work = work

    def _counted(self, match, text, start):
        self._work.done += (len(text) if match is None else match.end()) - start
        return match

    def search(self, text, start=0):
        return self._counted(self._pattern.search(text, start), text, start)

    def match(self, text, start=0):
        match = self._pattern.match(text, start)
        self._work.done += 1 if match is None else match.end() - start
        return match

    def fullmatch(self, text):
        return self._counted(self._pattern.fullmatch(text), text, 0)


@pytest.fixture
def work(monkeypatch):
    counted = Work()
    for module, names in (
        (decode, ("_ESCAPED_SURROGATE", "SURROGATE")),
        (scanner, ("SURROGATE", "_SPACE", "_WORD")),
        (numbers, ("NUMBER",)),
    ):
        for name in names:
            monkeypatch.setattr(module, name, CountedPattern(getattr(module, name), counted))
    scanstring = scanner.scanstring

    def counted_scanstring(text, start, strict):
        try:
            string, end = scanstring(text, start, strict)
        except JSONDecodeError:
            counted.done += len(text) - start
            raise
        counted.done += end - start
        return string, end

    characters, decoded = counted_text(str, counted), decode._decoded
    monkeypatch.setattr(scanner, "scanstring", counted_scanstring)
    monkeypatch.setattr(decode, "_decoded", lambda data: characters(decoded(data)))
    return counted


def work_of_reading(text, work):
    text = counted_text(bytes, work)(text)
    before = work.done
    profile, trace = sys.getprofile(), sys.gettrace()
    sys.setprofile(work.profile)
    sys.settrace(work.trace)
    try:
        parse(text)
    except MalformedInputError:
        pass
    finally:
        sys.settrace(trace)
        sys.setprofile(profile)
    return work.done - before


@pytest.mark.parametrize("shape", SHAPES)
def test_the_work_is_linear_in_the_size(shape, work):
    small, large = (work_of_reading(SHAPES[shape](size), work) for size in (SMALL, TIMES * SMALL))
    assert large >= TIMES * SMALL, "not all of the work is counted"
    assert large <= MOST * small, f"{large / small:.2f} times the work for {TIMES} times the size"
