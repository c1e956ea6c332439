"""Questions that were made to cost OPA's Wasm as much as they can, each beside a plain one of the same size.

What is asked of them: no more than 50 times the plain one's time (`benchmarks/chosen_names.py`), or instructions.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from colliding_names import colliding, plain

from bridge.decision import Request
from bridge.strict_json import encode

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST: Final = 50
"""How many times as much as a plain question one of these may cost."""

_LITTLE: Final = Decimal("1e-300")
_USER: Final = {"version": 2, "devices": {"custom_data": {"user_id": "u1"}}}


@dataclass(frozen=True, slots=True)
class Shape:
    """Questions about one subject.

    Attributes:
        name: What they are called.
        claims: The claims.
        resources: The resources; more than one is a batch.
        type: The resource type.
        id: The id, in place of a resource.
    """

    name: str
    claims: Any
    resources: Sequence[Any]
    type: Any = "devices"
    id: str | None = None

    def requests(self) -> list[Request]:
        """The questions in canonical text."""
        claims, type_ = encode(self.claims), encode(self.type, max_bytes=1 << 30)
        if self.id is not None:
            return [Request(claims, type_, None, encode(self.id, max_bytes=1 << 30))]
        return [Request(claims, type_, encode(resource)) for resource in self.resources]

    def plain(self) -> list[Request]:
        """As many plain questions, of the same total size."""
        requests = []
        for request in self.requests():
            more = len(request.type or b"") + len(request.id or b"")  # no plain type or id is large
            claims = {"policy": _USER, **filled(len(request.claims or b"") - 80)}
            resource = {
                "id": f"d{len(requests)}",
                "custom_data": {"user_id": "u1", **filled(len(request.resource or b"") + more - 60)},
            }
            requests.append(Request(encode(claims), b'"devices"', encode(resource, max_bytes=1 << 30)))
        return requests


def filled(size: int) -> dict[str, str]:
    """Members that are together about so long, in canonical text."""
    return {f"member_{number:06d}": f"value {number:06d}" for number in range(max(0, size) // 31)}


def demanding(custom_data: dict[str, Any]) -> dict[str, Any]:
    """Claims that demand these members."""
    return {"policy": {"version": 2, "devices": {"custom_data": custom_data}}}


def device(custom_data: object = None, **members: object) -> dict[str, Any]:
    """A device."""
    return {"id": "d1", "custom_data": {"user_id": "u1"} if custom_data is None else custom_data, **members}


def _both(custom_data: dict[str, Any]) -> tuple[Any, list[Any]]:
    """Claims that demand these members, and a device that has them."""
    return demanding(custom_data), [device(custom_data)]


def shapes() -> list[Shape]:
    """All of them."""
    return [*_light(), *_heavy_resources(), *_heavy_claims(), *_batches()]


def _light() -> list[Shape]:
    """What goes to Wasm as it is, at the limits of that."""
    claims = {"policy": _USER}
    bad = dict.fromkeys(colliding(30_000)[:42], 1)
    good = dict.fromkeys(plain(42), 1)
    numbers = [1.5] * 900
    return [
        Shape("42 colliding names in custom_data", claims, [device({"user_id": "u1", **bad})]),
        Shape("42 colliding demands, all missing", demanding(bad), [device({})]),
        Shape("42 colliding demands, all equal", demanding(bad), [device(bad)]),
        Shape("42 colliding demands, all different", demanding(bad), [device(dict.fromkeys(bad, 2))]),
        Shape("42 plain demands, all different", demanding(good), [device(dict.fromkeys(good, 2))]),
        Shape("42 colliding types that are unknown", {"policy": {"version": 2, **bad}}, [device()]),
        Shape("42 colliding fields that are unknown", {"policy": {"version": 2, "devices": bad}}, [device()]),
        Shape("4 KiB: one demand of an object of 42 colliding names", demanding({"x": bad}), [device({"x": bad})]),
        Shape("42 colliding other claims", {"policy": _USER, **bad}, [device()]),
        Shape("4 KiB: one demand of 900 numbers", demanding({"x": numbers}), [device({"x": [*numbers[:-1], 1.6]})]),
        Shape("4 KiB: a name of 4,000 `~`", demanding({"~" * 4_000: 1}), [device({"~" * 4_000: 2})]),
        Shape("4 KiB: 1,300 empty objects", demanding({"x": [{}] * 1_300}), [device({"x": [{}] * 1_299 + [[]]})]),
    ]


def _heavy_resources() -> list[Shape]:
    claims = {"policy": _USER}
    bad = dict.fromkeys(colliding(30_000), 1)
    short = dict.fromkeys(colliding(30_000)[:180], 1)
    return [
        Shape("4 KiB: 180 colliding names in custom_data", claims, [device({"user_id": "u1", **short})]),
        Shape("4 KiB: 180 colliding names in the member that is demanded", claims, [device({"user_id": short})]),
        Shape("450 KB: 30,000 colliding names in custom_data", claims, [device({"user_id": "u1", **bad})]),
        Shape("450 KB: in a custom_data that is an array", claims, [device([bad])]),
        Shape("450 KB: in an id that is an object", claims, [{"id": bad}]),
        Shape("450 KB: in a resource that is an array", claims, [[bad]]),
        Shape("450 KB: beside id and custom_data", claims, [device(None, **bad)]),
        Shape("450 KB: in a member of custom_data that is not demanded", claims, [device({"user_id": "u1", "x": bad})]),
        Shape("450 KB: in the member that is demanded", claims, [device({"user_id": bad})]),
        Shape("450 KB: where nothing is demanded", {}, [device(bad)]),
        Shape("1 MiB: an id", claims, [{"id": "d" * 1_000_000}]),
        Shape("1 MiB: 500,000 numbers in custom_data", claims, [device({"x": [1] * 500_000})]),
        Shape(
            "1 MiB: 130,000 small numbers in the member that is demanded",
            claims,
            [device({"user_id": [_LITTLE] * 130_000})],
        ),
        Shape(
            "14 KiB: 2,000 small numbers in the member that is demanded",
            claims,
            [device({"user_id": [_LITTLE] * 2_000})],
        ),
        Shape("1 MiB: an id that is asked by", claims, [], id="d" * 1_000_000),
        Shape("1 MiB: a type", claims, [device()], type="d" * 1_000_000),
        Shape("450 KB: a type that is an object of 30,000 colliding names", claims, [device()], type=bad),
    ]


def _heavy_claims() -> list[Shape]:
    bad = dict.fromkeys(colliding(30_000)[:3_400], 1)
    good = dict.fromkeys(plain(4_000), 1)
    some = dict.fromkeys(colliding(30_000)[:180], 1)
    return [
        Shape("4 KiB: 180 colliding demands, all missing", demanding(some), [device({})]),
        Shape("4 KiB: 180 colliding demands, all different", demanding(some), [device(dict.fromkeys(some, 2))]),
        Shape("4 KiB: 180 colliding types that are unknown", {"policy": {"version": 2, **some}}, [device()]),
        Shape("4 KiB: 180 colliding other claims", {"policy": _USER, **some}, [device()]),
        Shape("5 KiB: one demand of 560 small numbers", *_both({"x": [_LITTLE] * 560})),
        Shape("64 KiB: one demand of 9,000 small numbers", *_both({"x": [_LITTLE] * 9_000})),
        Shape("64 KiB: 4,000 plain demands, all missing", demanding(good), [device({})]),
        Shape("64 KiB: 3,400 colliding demands, all missing", demanding(bad), [device({})]),
        Shape("64 KiB: 3,400 colliding demands, all equal", demanding(bad), [device(bad)]),
        Shape("64 KiB: 3,400 colliding demands, all different", demanding(bad), [device(dict.fromkeys(bad, 2))]),
        Shape("64 KiB: one demand of an object of 3,400 names", demanding({"x": bad}), [device({"x": bad})]),
        Shape("64 KiB: 3,400 colliding types that are unknown", {"policy": {"version": 2, **bad}}, [device()]),
        Shape(
            "64 KiB: 3,400 colliding fields that are unknown", {"policy": {"version": 2, "devices": bad}}, [device()]
        ),
        Shape("64 KiB: 3,400 colliding other claims", {"policy": _USER, **bad}, [device()]),
        Shape("64 KiB: 3,400 colliding other claims, no policy", bad, [device()]),
        Shape("64 KiB: claims that are an array", [bad], [device()]),
        Shape("64 KiB: a name of 60,000 `~`", demanding({"~" * 60_000: 1}), [device()]),
        Shape("64 KiB: an unknown type of 60,000 `/`", {"policy": {"version": 2, "/" * 60_000: 1}}, [device()]),
        Shape("64 KiB: a claim of 20,000 numbers", demanding({"x": [11] * 20_000}), [device({"x": [11] * 20_000})]),
    ]


def _batches() -> list[Shape]:
    claims = {"policy": _USER}
    large = device({"user_id": "u1", **dict.fromkeys(colliding(30_000), 1)})
    small = device({"user_id": "u1", **dict.fromkeys(colliding(30_000)[:42], 1)})
    twenty = plain(20)
    names = plain(14)
    patterned = [device(_in_pattern(names, number)) for number in range(10_000) if number.bit_count() == 7][:1_000]
    six = [device(_in_pattern(names[:6], number)) for number in range(64)] * 15
    many = [device(_in_pattern(twenty, number)) for number in range(1 << 16) if number.bit_count() == 8][:1_000]
    hundred = [device(_in_pattern(plain(96), number)) for number in range(10_000) if number.bit_count() == 7][:200]
    return [
        Shape("300 plain resources and one of 450 KB", claims, [device()] * 150 + [large] + [device()] * 150),
        Shape("1,000 resources of 42 colliding names", claims, [small] * 1_000),
        Shape("1,000 ways to miss 14 demands, of one hash", demanding(dict.fromkeys(names, 1)), patterned),
        Shape("960 ways to miss 6 demands", demanding(dict.fromkeys(names[:6], 1)), six),
        Shape("1,000 ways to miss 20 demands, of one hash", demanding(dict.fromkeys(twenty, 1)), many),
        Shape("200 ways to miss 96 demands", demanding(dict.fromkeys(plain(96), 1)), hundred),
    ]


def _in_pattern(names: Sequence[str], number: int) -> dict[str, int]:
    """Each of these, in the order of the bits, is missing or different."""
    return {name: 2 for place, name in enumerate(names) if number >> place & 1}
