"""A resource, parsed (R12.8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.strict_json import Value


@dataclass(frozen=True, slots=True)
class Resource:
    """The parts of a device or a session that a decision looks at.

    Attributes:
        id: Its id, not empty.
        custom_data: Its custom data, empty if it has none (R10).
    """

    id: str
    custom_data: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class InvalidResource:
    """A value that is no resource, and why."""

    cause: str


def parse_resource(value: Value) -> Resource | InvalidResource:
    """Return the resource in `value`, from `strict_json.parse`, or why it is none (R12.8)."""
    if not isinstance(value, dict):
        return InvalidResource("a resource must be an object")
    if "id" not in value:
        return InvalidResource("the resource has no `id`")
    id_, custom_data = value["id"], value.get("custom_data", {})
    if not isinstance(id_, str) or not id_:
        return InvalidResource("the resource's `id` must be a string that is not empty")
    if not isinstance(custom_data, dict):
        return InvalidResource("the resource's `custom_data` must be an object")
    return Resource(id_, custom_data)
