"""JSON Pointers (RFC 6901)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.strict_json.values import ABSENT, Absent

if TYPE_CHECKING:
    from bridge.strict_json.values import Value


def pointer(*names: str) -> str:
    """The JSON Pointer that goes through members or items of these names.

    Returns:
        `""` without names, else each name behind a `/`, with `~` as `~0` and `/` as `~1` (RFC 6901, section 3).
    """
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)


def resolve(value: Value, text: str) -> Value | Absent:
    """What the JSON Pointer `text` names inside objects of `value`, or ABSENT."""
    found: Value = value
    for token in text.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, dict) or name not in found:
            return ABSENT
        found = found[name]
    return found
