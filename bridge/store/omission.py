"""Members of resources that are not stored, such as secrets that no policy reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from bridge.errors import ConfigurationError
from bridge.strict_json import Value, pointer

_DECIDING: Final = ("id", "custom_data")
_WRONG_ESCAPE: Final = re.compile(r"~(?![01])")


class ThroughArrayError(ValueError):
    """A pointer leads through an array; the text is the cause."""


@dataclass(frozen=True, slots=True)
class Omission:
    """The members to leave out.

    Attributes:
        paths: The path of names to each member, sorted, so that equal omissions compare as equal.
    """

    paths: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def of(cls, omit: Iterable[str]) -> Self:
        """Create an omission from names of top-level members and JSON Pointers (RFC 6901), which begin with `/`.

        Raises:
            ConfigurationError: One is neither, or names what decisions read: `id`, `custom_data` or a part of them.
        """
        if isinstance(omit, (str, bytes)):
            raise ConfigurationError(
                "omit: several names are needed, such as `omit=['notification_token']`, not one text"
            )
        return cls(tuple(sorted({_path(text) for text in omit})))

    def __bool__(self) -> bool:
        return bool(self.paths)

    def drop_from(self, resource: dict[str, Value]) -> None:
        """Drop the members from a resource, in place; a missing member is no error.

        Raises:
            ThroughArrayError: A pointer leads through an array, where an index names another item after each removal.
        """
        for path in self.paths:
            container: Value = resource
            for depth, name in enumerate(path[:-1], 1):
                container = container.get(name) if isinstance(container, dict) else None
                if isinstance(container, list):
                    at = pointer(*path[:depth])
                    raise ThroughArrayError(f"omit: `{pointer(*path)}` leads through an array: omit `{at}` as a whole")
            if isinstance(container, dict):
                container.pop(path[-1], None)

    def affects(self, resource: Mapping[str, Value]) -> bool:
        """Tell whether a resource has the first name of any path, so that a member may have to be dropped."""
        return any(path[0] in resource for path in self.paths)


def _path(text: object) -> tuple[str, ...]:
    if not isinstance(text, str) or not text:
        raise ConfigurationError(
            f"omit: {text!r} names no member: give the name of one, or a JSON Pointer such as `/device/app_id`"
        )
    if not text.startswith("/"):
        path = [text]
    elif _WRONG_ESCAPE.search(text):
        raise ConfigurationError(
            f"omit: `{text}` is no JSON Pointer: in it `~` is written `~0`, and `/` in a name `~1`"
        )
    else:
        path = [name.replace("~1", "/").replace("~0", "~") for name in text[1:].split("/")]
    if path[0] in _DECIDING:
        raise ConfigurationError(
            f"omit: `{text}` cannot be left out, for policies look at `id` and `custom_data`: "
            "omit other members, or change the source"
        )
    return tuple(path)
