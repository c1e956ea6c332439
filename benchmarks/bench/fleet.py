"""The resources that everything is measured on: made by number, the same in every run of one seed."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USER_HITS: Final = 10
"""How many devices a user has."""

_STRIDES: Final = (7_368_787, 4_256_233, 9_576_890_767, 982_451_653)


class Fleet:
    """Devices with three members of `custom_data`: one shared by 10, one by a page full, one by half of all.

    Args:
        count: How many, an even number.
        page: How many devices a team has.
        seed: Which ids belong together.
    """

    def __init__(self, count: int, page: int, seed: int) -> None:
        self.count = count
        self.page = page
        self._stride = next(stride for stride in _STRIDES if math.gcd(stride, count) == 1)
        self._offset = seed * 7_919

    @property
    def users(self) -> int:
        return self.count // USER_HITS

    @property
    def teams(self) -> int:
        return self.count // self.page

    def id(self, number: int) -> str:
        return f"d{(number * self._stride + self._offset) % self.count:07}"

    def resource(self, number: int, **custom_data: str) -> dict[str, Any]:
        """The device of a number, with some members of its `custom_data` replaced."""
        own = {"user_id": user(number // USER_HITS), "plan": plan(number), "team": team(number // self.page)}
        return {"id": self.id(number), "name": f"device {number}", "custom_data": own | custom_data}

    def resources(self, *, moved: int = 0) -> Iterator[dict[str, Any]]:
        """All of them; one in `moved` of another plan, if that is told."""
        for number in range(self.count):
            changed = {"plan": "other"} if moved and number % moved == 0 else {}
            yield self.resource(number, **changed)

    def write(self, path: Path, *, moved: int = 0) -> None:
        """Write them as JSON Lines."""
        with path.open("w", encoding="utf-8") as file:
            for resource in self.resources(moved=moved):
                file.write(json.dumps(resource, separators=(",", ":")) + "\n")

    def ids_of_user(self, number: int) -> list[str]:
        return sorted(self.id(one) for one in range(number * USER_HITS, (number + 1) * USER_HITS))

    def ids_of_team(self, number: int) -> list[str]:
        return sorted(self.id(one) for one in range(number * self.page, (number + 1) * self.page))


def user(number: int) -> str:
    return f"u{number}"


def team(number: int) -> str:
    return f"t{number}"


def plan(number: int) -> str:
    return "free" if number % 2 else "paid"


def claims(**custom_data: str) -> dict[str, Any]:
    """Claims of a token as they are after verification, whose policy demands this `custom_data` of devices."""
    return {
        "aud": "https://cobrowse.io",
        "iss": "LICENSE-KEY",
        "sub": "agent@example.com",
        "iat": 1_700_000_000,
        "exp": 1_700_003_600,
        "policy": {"version": 2, "devices": {"custom_data": custom_data}},
    }
