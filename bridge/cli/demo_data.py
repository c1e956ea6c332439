"""The data of the demo: the five examples of the service's documentation, and some devices and sessions.

Devices and sessions have the members that the service's API gives, with made-up values; policies look at `id` and
`custom_data` only. The id of the last example is one of these sessions, in place of the documentation's `12345`.
`notification_token` is a secret: its holder can send notifications to the device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_OWN: Final = {"my_custom_data": "some value here", "my_other_custom_data": "some other value here"}
_USER: Final = {"custom_data": {"user_id": "my user id here"}}
_OWN_DATA: Final = {"custom_data": _OWN}
_SESSION: Final = "nRYFUksL_zZF8m7v-F27eQ"
_OTHER_CASE: Final = "nRYFUksL_zZF8m7v-f27eQ"  # ids are compared by code points
_MODELS: Final = {"ios": "iPhone16,2", "android": "Pixel 9", "web": "Firefox"}


@dataclass(frozen=True, slots=True)
class Example:
    """A policy claim of the documentation.

    Attributes:
        agent: The subject of the token.
        title: What the token lets its bearer access, in a word or two.
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
    Example("eve@example.com", "one session", {"version": 2, "sessions": {"id": _SESSION}}),
)

SPARE: Final = Example("support@example.com", "a device", {"version": 2, "devices": {"custom_data": {"user_id": "u1"}}})
"""The example of one more token, to try the other commands with."""


def _device(id_: str, platform: str, custom_data: Mapping[str, object] | None) -> dict[str, object]:
    """Return a device as the service gives it; without `custom_data` if that is None."""
    device: dict[str, object] = {
        "id": id_,
        "device": {
            "app_id": "com.example.shop",
            "app_name": "Example Shop",
            "app_version": "4.2.0",
            "platform": platform,
            "type": "desktop" if platform == "web" else "mobile",
            "name": _MODELS[platform],
        },
        "custom_data": custom_data,
        "online": platform != "web",
        "last_active": "2026-01-15T09:30:00.000Z",
        "notification_token": f"made-up-notification-token-of-{id_}",
    }
    if custom_data is None:
        del device["custom_data"]
    return device


def _session(id_: str, state: str, custom_data: Mapping[str, object] | None) -> dict[str, object]:
    """Return a session as the service gives it; without `custom_data` if that is None."""
    ended = state == "ended"
    session: dict[str, object] = {
        "id": id_,
        "code": None if ended else "417203",
        "state": state,
        "agent": {"id": "agent-7", "name": "Ada", "email": "ada@example.com"},
        "device": {"app_id": "com.example.shop", "platform": "ios"},
        "custom_data": custom_data,
        "created": "2026-01-15T09:31:02.000Z",
        "activated": "2026-01-15T09:31:40.000Z",
        "ended": "2026-01-15T09:44:10.000Z" if ended else None,
    }
    if custom_data is None:
        del session["custom_data"]
    return session


SPARE_DEVICE: Final = _device("gB5fOx3aQ2WkT9sVd0YyLw", "android", {"user_id": "u1"})
"""The device that the spare token lets its bearer access."""

RESOURCES: Final[Mapping[str, Sequence[dict[str, object]]]] = {
    "devices": (
        _device("Q4y7vKpXSJ2m-1RkzUa8Dg", "android", {"user_id": "my user id here", "model": "Pixel 9"}),
        _device("b_Zt0WcNTXqH5fLeY3iGkA", "ios", {"user_id": "another user id"}),
        _device("h8DnPsV4RgaE-xO6mJq2Cw", "ios", {"user_id": "My User ID here"}),
        _device("zK1uFjYbSxWc9T_rMv5dXQ", "android", _OWN),
        _device("L7oIgE3hQnuVkB2ysAp0Zg", "web", {"my_custom_data": "some value here"}),
        _device("e5RwCqJxT8-fUd4HmNtG6A", "web", None),
    ),
    "sessions": (
        _session(_SESSION, "active", {"user_id": "my user id here"}),
        _session("Xv2kAq9OTzS-Wm8pRc6bFg", "ended", {"user_id": "another user id"}),
        _session("7UeHs0dLQ_iJnY5tKwGz1A", "ended", {"user_id": ["my user id here"]}),
        _session("cPb4ZxE6SfaVo3jMyTq9hw", "active", _OWN),
        _session("R-1gDuN8WkCm_L5sXeIv2Q", "pending", {**_OWN, "my_custom_data": "some value"}),
        _session(_OTHER_CASE, "active", None),
    ),
}
