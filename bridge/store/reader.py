"""Resources from JSON Lines and from Python objects, on their way into a push."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from bridge.errors import MalformedInputError, UsageError
from bridge.store.loader import Loader, LoadResult, TextFormat
from bridge.strict_json import encode, is_json, parse

if TYPE_CHECKING:
    from bridge.store.omission import Omission

# Where an object or an array goes over several lines, either the first of them ends with one of these, or a later one
# begins with one of those.
_OPEN_ENDS: Final = (b":", b"[", b",", b"{")
_GOING_ON: Final = (b'"', b"}", b"]", b",", b":")
_SPACE: Final = b" \t\r\n"


def from_lines(lines: Iterable[bytes], *, what: str = "", omit: Iterable[str] | Omission = ()) -> LoadResult:
    """The resources in JSON Lines: one a line, as UTF-8; lines of nothing but white space are skipped.

    A resource that breaks R12 is refused with its line and the cause; so is every one whose id comes twice.

    Args:
        lines: The lines, each with its line feed or without.
        what: What they come from, for errors.
        omit: Members to leave out once they were checked, by top-level name or JSON Pointer.

    Raises:
        MalformedInputError: An object goes over several lines (R12.1): what stands on a line of its own may be a part
            of it.
        ConfigurationError: `omit` cannot be used.
    """
    collector = Loader(TextFormat.LINES, what, omit)
    broken, is_open = 0, False
    for number, line in enumerate(lines, 1):
        if not line.strip(_SPACE):
            continue
        if is_open or (broken and line.lstrip().startswith(_GOING_ON)):
            raise MalformedInputError(
                f"no JSON by itself, and it seems to go on in line {number}: write each resource on one line, "
                "or all of them as one JSON array",
                rule="R12.1",
                what=what,
                line=broken,
                column=1,
            )
        try:
            value = parse(line.removesuffix(b"\n"))
        except MalformedInputError as error:
            # The line's number is told by the refusal: here it is always the first.
            ended = line.endswith(b"\n")
            cut = "" if ended else "; the line has no end: was the source cut off?"
            collector.refuse_text(number, f"column {error.column}: {error.cause}{cut} ({error.rule})", line, error)
            if not is_json(line):
                broken, is_open = number, line.rstrip().endswith(_OPEN_ENDS)
        else:
            collector.add(number, value)
    return collector.collected()


def from_objects(resources: Iterable[object], *, omit: Iterable[str] | Omission = ()) -> LoadResult:
    """The resources in Python objects (R12.7), checked in the same way; the first one is item 1.

    Args:
        resources: The resources, as dicts.
        omit: Members to leave out once they were checked, by top-level name or JSON Pointer.

    Raises:
        UsageError: It is one object, or a text, or cannot be iterated over.
        ConfigurationError: `omit` cannot be used.
    """
    if isinstance(resources, (str, bytes, Mapping)) or not isinstance(resources, Iterable):
        raise UsageError(
            f"several resources are needed, such as a list of dicts, not a {type(resources).__name__}: "
            "`bridge.store.from_file` reads a file"
        )
    collector = Loader(TextFormat.OBJECTS, "", omit)
    for number, value in enumerate(resources, 1):
        try:
            text = encode(value)
        except MalformedInputError as error:
            collector.refuse(number, str(error), value.get("id") if type(value) is dict else None)
        else:
            collector.add(number, parse(text))
    return collector.collected()
