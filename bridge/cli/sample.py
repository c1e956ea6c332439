"""What the demo decides about: the five examples of the service's documentation, and some devices and sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_USER: Final = {"custom_data": {"user_id": "my user id here"}}
_OWN_DATA: Final = {
    "custom_data": {"my_custom_data": "some value here", "my_other_custom_data": "some other value here"}
}


@dataclass(frozen=True, slots=True)
class Example:
    """A policy claim of the documentation.

    Attributes:
        agent: Whose token it is.
        title: What it lets its bearer access, in a word or two.
        policy: The claim.
    """

    agent: str
    title: str
    policy: Mapping[str, object]


EXAMPLES: Final = (
    Example("ada@example.com", "a user's devices", {"version": 2, "devices": _USER}),
    Example("ben@example.com", "a user's sessions", {"version": 2, "sessions": _USER}),
    Example("cleo@example.com", "my own data", {"version": 2, "sessions": _OWN_DATA, "devices": _OWN_DATA}),
    Example("dan@example.com", "all sessions", {"version": 2, "sessions": {}}),
    Example("eve@example.com", "one session", {"version": 2, "sessions": {"id": "12345"}}),
)

SPARE: Final = Example("support@example.com", "a device", {"version": 2, "devices": {"custom_data": {"user_id": "u1"}}})
"""A token to try things with, beside the five."""

ITS_DEVICE: Final[dict[str, object]] = {"id": "d1", "custom_data": {"user_id": "u1"}}
"""What that token lets its bearer access."""

RESOURCES: Final[Mapping[str, Sequence[dict[str, object]]]] = {
    "devices": (
        {"id": "phone-1", "custom_data": {"user_id": "my user id here", "model": "Pixel 9"}},
        {"id": "phone-2", "custom_data": {"user_id": "another user id"}},
        {"id": "phone-3", "custom_data": {"user_id": "My User ID here"}},
        {"id": "tablet-1", **_OWN_DATA},
        {"id": "tablet-2", "custom_data": {"my_custom_data": "some value here"}},
        {"id": "kiosk-1"},
    ),
    "sessions": (
        {"id": "12345", "custom_data": {"user_id": "my user id here"}},
        {"id": "12346", "custom_data": {"user_id": "another user id"}},
        {"id": "12347", "custom_data": {"user_id": ["my user id here"]}},
        {"id": "12348", **_OWN_DATA},
        {"id": "12349", "custom_data": {**_OWN_DATA["custom_data"], "my_custom_data": "some value"}},
        {"id": "012345"},
    ),
}
