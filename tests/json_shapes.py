"""JSON texts of any size whose reading might take longer than their size says: see `test_strict_json_linear.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_OBJECT = '{"id":"a1","custom_data":{"user":"u1","n":1.5}}'


def _filled(before: str, unit: str, after: str, size: int, separator: str = ",") -> bytes:
    return (before + separator.join([unit] * (size // (len(unit) + len(separator)))) + after).encode()


SHAPES: dict[str, Callable[[int], bytes]] = {
    "many small objects": lambda size: _filled("[", _OBJECT, "]", size),
    "many empty arrays": lambda size: _filled("[", "[]", "]", size),
    "many members": lambda size: (
        "{" + ",".join(f'"{number:07}{"x" * 90}":{number % 10}' for number in range(size // 107)) + "}"
    ).encode(),
    "one string of escapes": lambda size: _filled('"', '\\u00e9\\n\\"\\\\ab', '"', size, ""),
    "one string of escaped pairs": lambda size: _filled('["', "\\ud83d\\ude00", '"]', size, ""),
    "one string of raw characters": lambda size: b'["' + "\U0001f600é".encode() * (size // 6) + b'"]',
    "many numbers": lambda size: _filled("[", "12345678901234567e-20,1.5,-0,1e30,7", "]", size),
    "nested": lambda size: _filled("[", "[" * 60 + "1" + "]" * 60, "]", size),
    "one number": lambda size: b"1" * size,
    "space": lambda size: b" " * size + b"1",
    "lines refused at the end": lambda size: _filled("[", _OBJECT, ",]", size, ",\n"),
    "a member that comes again at the end": lambda size: _filled('{"a":[', _OBJECT, '],"a":1}', size),
    "nested too deep at the end": lambda size: _filled("[", f'[["{"a" * 90}"]]', "," + "[" * 65, size),
    "a string without an end": lambda size: _filled('"', "\\\\", "", size, ""),
    "a surrogate at the end": lambda size: _filled("[", '"' + "\\u00e9" * 20 + '"', ',"\\ud800"]', size),
    "no utf-8 at the end": lambda size: _filled("[", '"é"', "", size) + b'"\xff"]',
    "brackets": lambda size: b"[" * size,
}
"""A text of about so many bytes, by the name of its shape."""
