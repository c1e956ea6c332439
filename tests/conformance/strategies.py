"""Hypothesis strategies that aim at trouble.

A policy is made first; the resource is made from it, so that it matches, and then something is changed that must make
a difference, or must not: another type, another spelling of the same number, the next number, another normalisation
form of a string, a name one character off. What is simple stands first among alternatives, for shrinking.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from hypothesis import strategies as st

from bridge.decision import Request
from bridge.strict_json import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.policy import PolicySettings

Draw: TypeAlias = "Callable[[st.SearchStrategy[Any]], Any]"

STRINGS: Final = (
    "a",
    "b",
    "A",
    "",
    " ",
    "a ",
    "a\x00",
    "\x00",
    "a\n",
    "1",
    "2",
    "1.0",
    "true",
    "false",
    "null",
    "\xe9",
    "e\u0301",
    "\ufb01",
    "\u212a",
    "K",
    "\u0131",
    "\xdf",
    "ss",
    "a\u200d",
    "\u202ea",
    "\u2028",
    "\x7f",
    "\x1f",
    "\ufffd",
    "\uffff",
    "\ue000",
    "\U00010000",
    "\U00020000",
    "\U0010ffff",
    "id",
    "custom_data",
    "version",
    "devices",
    "sessions",
    "policy",
    "user_id",
    "/",
    "~",
    "~0",
    "~1",
    "a/b",
    "a~b",
    "a~1b",
    ".",
    "..",
    "*",
    "a.b",
    "a[0]",
    '"',
    "'",
    "\\",
    "\\u0061",
    '"]',
    "`",
    "{{ claim }}",
    "{% if token %}",
    "{#",
    "${a}",
    "%s",
    "input.claims",
    "data.jwt_policy",
    "data",
    "input",
    "with",
    "not",
    "__proto__",
    "constructor",
    "__class__",
    "$ref",
    "a" * 300,
)
"""Values, names and ids."""

NUMBERS: Final = (
    0,
    1,
    2,
    -1,
    10,
    100,
    Decimal("0.1"),
    Decimal("1.5"),
    Decimal("-1.5"),
    Decimal("100.5"),
    2**53,
    2**53 + 1,
    2**63 - 1,
    2**63,
    2**64,
    10**22,
    10**23,
    10**39,
    10**40 - 1,
    12345678901234567890,
    12345678901234567891,
    Decimal("0.1234567890123456"),
    Decimal("0.12345678901234567"),
    Decimal("0.12345678901234568"),
    Decimal("9007199254740992.5"),
    Decimal("1e-7"),
    Decimal("1e-10"),
    Decimal("1e41"),
    Decimal("15e49"),
    Decimal("120.82399798385188e220"),
    Decimal("120.82399798385189e220"),
    Decimal("5e-324"),
    Decimal("2.2250738585072014e-308"),
    Decimal("1.7976931348623157e308"),
)

MISSPELT: Final = (
    "Id",
    "ID",
    "id ",
    "_id",
    "customData",
    "custom-data",
    "custom_data ",
    "CustomData",
    "customdata",
    "user_id",
    "device",
    "Devices",
    "devices ",
    "session",
    "versions",
    "Version",
    "policy",
    "",
    "__proto__",
    "a/b",
    "~",
    "push",
    "features",
    "Push",
    "feature",
    "permissions",
    "*",
    "role",
)
"""Members that mean nothing where they stand, and must not be taken for those that do."""

SCALARS: Final = st.one_of(
    st.sampled_from(STRINGS),
    st.sampled_from(NUMBERS),
    st.sampled_from((True, False, None)),
    st.text(max_size=4),
    st.integers(-(10**40) + 1, 10**40 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
)
NAMES: Final = st.one_of(st.sampled_from(STRINGS), st.text(max_size=3))
CHANCES: Final = st.integers(0, 99)


@dataclass(frozen=True, slots=True)
class Questions:
    """Resources that are asked about with the same claims and type; all of them values of R12.7."""

    claims: Any
    type: Any
    resources: Sequence[Any]

    @property
    def requests(self) -> list[Request]:
        claims, type_ = encode(self.claims), encode(self.type)
        return [Request(claims=claims, type=type_, resource=encode(resource)) for resource in self.resources]


def one_in(draw: Draw, times: int) -> bool:
    """Whether something rare happens; shrinks to no."""
    return bool(draw(CHANCES) >= 100 - 100 // times)


def values(draw: Draw, depth: int = 0) -> Any:
    """Any value, seldom deep."""
    chance = draw(CHANCES) if depth < 3 else 0
    if chance < 75:
        return draw(SCALARS)
    size = draw(st.integers(0, 2))
    if chance < 88:
        return [values(draw, depth + 1) for _ in range(size)]
    return {draw(NAMES): values(draw, depth + 1) for _ in range(size)}


def near(draw: Draw, value: Any) -> Any:
    """A value that is nearly this one, or is this one spelled otherwise."""
    if isinstance(value, str):
        return draw(st.sampled_from(_near_string(value)))
    if isinstance(value, bool) or value is None:
        return draw(st.sampled_from(_NEAR_CONSTANT[value]))
    if isinstance(value, int | float | Decimal):
        return draw(st.sampled_from(_near_number(value)))
    return _near_list(draw, value) if isinstance(value, list) else _near_object(draw, value)


_NEAR_CONSTANT: Final[dict[object, tuple[Any, ...]]] = {
    None: ("null", False, 0, "", {}, []),
    True: (False, 1, "true", [True], "True"),
    False: (True, 0, "false", None, ""),
}


def _near_string(value: str) -> list[Any]:
    variants: list[Any] = [
        value + " ",
        " " + value,
        value + "\x00",
        value[:-1],
        value.swapcase(),
        value.casefold(),
        [value],
        value + value,
        value.replace("/", "~1"),
        value.encode("unicode_escape").decode("ascii"),
        *(unicodedata.normalize(form, value) for form in ("NFC", "NFD", "NFKC", "NFKD")),
    ]
    if value:
        plane = (ord(value[0]) + 0x10000) % 0x110000
        if not 0xD800 <= plane <= 0xDFFF:
            variants.append(chr(plane) + value[1:])
    if value in _SPELT:
        variants.append(_SPELT[value])
    return [other for other in variants if other != value]


_SPELT: Final[dict[str, Any]] = {
    "1": 1,
    "2": 2,
    "1.0": Decimal("1.0"),
    "true": True,
    "false": False,
    "null": None,
    "": None,
}


def _near_number(value: float | Decimal) -> list[Any]:
    """Spelled otherwise, the next one, and what a careless comparison takes for it."""
    sign, digits, exponent = Decimal(repr(value) if isinstance(value, float) else value).as_tuple()
    assert isinstance(exponent, int)
    if not any(digits):
        return [Decimal("-0"), Decimal("0e5"), -0.0, 1, False, "0", None, Decimal("5e-324"), ""]
    variants: list[Any] = [
        Decimal((sign, (*digits, 0), exponent - 1)),
        Decimal((sign, (*digits, 0, 0, 0), exponent - 3)),
        Decimal((1 - sign, digits, exponent)),
        str(value),
        [value],
        *(Decimal((sign, (*digits[:-1], last), exponent)) for last in ((digits[-1] + 1) % 10, (digits[-1] - 1) % 10)),
    ]
    if value == 1:
        variants.append(True)
    binary = float(value)
    for other in (binary, math.nextafter(binary, math.inf), math.nextafter(binary, -math.inf)):
        if math.isfinite(other):
            variants += [other, int(other)] if other.is_integer() and abs(other) < 10**40 else [other]
    return variants


def _near_list(draw: Draw, value: list[Any]) -> Any:
    chance = draw(CHANCES)
    if value and chance < 50:
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], near(draw, value[index]), *value[index + 1 :]]
    return draw(
        st.sampled_from(([*value, None], value[:-1], value[::-1], [value], dict(zip("0123", value, strict=False))))
    )


def _near_object(draw: Draw, value: dict[str, Any]) -> Any:
    chance = draw(CHANCES)
    if value and chance < 75:
        name = draw(st.sampled_from(sorted(value)))
        others = {other: item for other, item in value.items() if other != name}
        if chance < 45:
            return {**others, name: near(draw, value[name])}
        if chance < 60:
            return others
        renamed = draw(st.sampled_from([other for other in _near_string(name) if isinstance(other, str)]))
        return {**others, renamed: value[name]}
    if chance < 85:
        return {**value, draw(NAMES): values(draw, 1)}
    return draw(st.sampled_from((dict(reversed(value.items())), [value], list(value), list(value.values()), None)))


def descriptions(draw: Draw) -> dict[str, Any]:
    """Valid descriptions."""
    description: dict[str, Any] = {}
    if one_in(draw, 3):
        description["id"] = draw(NAMES)
    if draw(CHANCES) < 85:
        description["custom_data"] = {draw(NAMES): values(draw) for _ in range(draw(st.sampled_from((1, 0, 2, 3))))}
    return description


def policies(draw: Draw, settings: PolicySettings) -> dict[str, Any]:
    """Valid policies."""
    spellings = [each for version in sorted(settings.versions) for each in _SPELLINGS[version]]
    version = draw(st.sampled_from(spellings))
    policy: dict[str, Any] = {"version": version, settings.types[0]: descriptions(draw)}
    for type_ in settings.types[1:]:
        if one_in(draw, 4):
            policy[type_] = descriptions(draw)
    if one_in(draw, 20):
        del policy[settings.types[0]]
    if version == _LATER and one_in(draw, 2):
        beside = [name for name in _BESIDE if name not in settings.types]
        policy |= {name: draw(st.sampled_from(({}, {"id": 1}, {"x": []}))) for name in beside if one_in(draw, 2)}
    return policy


_LATER: Final = 3
_BESIDE: Final = ("push", "features")
_SPELLINGS: Final[dict[int, tuple[Any, ...]]] = {
    2: (2, 2.0, Decimal("2.00"), Decimal("20e-1"), Decimal("0.2e1")),
    3: (3, 3.0, Decimal("3.00"), Decimal("30e-1"), Decimal("0.3e1")),
}


def broken_policies(draw: Draw, settings: PolicySettings) -> Any:
    """Policy claims that are mostly invalid: one thing, or more, is broken; misspelt ones; those of other versions."""
    policy = policies(draw, settings)
    known = sorted(settings.versions)  # no set: some of the others cannot be in one
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 3)))):
        type_ = draw(st.sampled_from(settings.types))
        description = policy.get(type_, {})
        what = draw(st.integers(0, 8))
        if what == 0:
            policy.pop("version", None)
        elif what == 1:
            policy["version"] = draw(st.sampled_from([one for one in _OTHER_VERSIONS if one not in known]))
        elif what == 2:
            policy[draw(_strangers(settings))] = draw(st.sampled_from(({}, None, {"id": "a"})))
        elif what == 3 or not isinstance(description, dict):
            policy[type_] = draw(st.sampled_from((None, [], "", True, [{}], 0, "a")))
        elif what == 4:
            name = draw(st.sampled_from([name for name in (*MISSPELT, *settings.types) if name not in _FIELDS]))
            policy[type_] = {**description, name: draw(SCALARS)}
        elif what == 5:
            policy[type_] = {**description, "id": draw(st.sampled_from((None, 1, True, [], ["a"], {}, {"a": "a"})))}
        elif what == 6:
            policy[type_] = {**description, "custom_data": draw(st.sampled_from((None, [], "", 1, False, [["a", 1]])))}
        elif what == 7:
            # Right where the version is 3 and the setting has it, and wrong everywhere else.
            policy["version"] = draw(st.sampled_from((3, 2, 3.0)))
            policy[draw(st.sampled_from(_BESIDE))] = draw(
                st.sampled_from(({}, {"id": 1}, {"id": "a"}, None, [], "", 0))
            )
        else:
            return draw(st.sampled_from(_not_policies(settings)))
    return policy


_FIELDS: Final = ("id", "custom_data")
_OTHER_VERSIONS: Final[tuple[Any, ...]] = (
    1,
    3,
    2,
    4,
    23,
    "3",
    Decimal("3.0000000000000001"),
    "2",
    True,
    None,
    [2],
    2.5,
    Decimal("2.0000000000000001"),
    20,
    "2.0",
    {},
    -2,
    0,
)


def _strangers(settings: PolicySettings) -> st.SearchStrategy[str]:
    known = {*settings.types, "version"}
    return st.one_of(st.sampled_from(MISSPELT), NAMES).filter(lambda name: name not in known)


def _not_policies(settings: PolicySettings) -> tuple[Any, ...]:
    type_ = settings.types[0]
    return (
        None,
        [],
        "",
        2,
        True,
        [{"version": 2}],
        '{"version":2}',
        {},
        {type_: {"user_id": "a"}},
        {"version": 1, type_: ["a"]},
        {"version": 1, type_: {"user_id": "a"}},
        {"version": 2, "resources": {type_: {}}},
    )


def claims(draw: Draw, settings: PolicySettings) -> Any:
    """Claims whose policy is mostly valid."""
    chance = draw(CHANCES)
    if chance >= 98:
        return draw(st.sampled_from((None, [], "", 1, True, [{}])))
    other_claims: dict[str, Any] = {"sub": "a"} if one_in(draw, 3) else {}
    if chance >= 93:
        name = draw(st.sampled_from(_near_names(settings.claim)))
        return {**other_claims, name: {"version": 2}}
    policy = policies(draw, settings) if chance < 78 else broken_policies(draw, settings)
    return {**other_claims, settings.claim: policy} if chance % 2 else {settings.claim: policy, **other_claims}


def _near_names(name: str) -> list[str]:
    return [other for other in (*_near_string(name), "claims", "Policy") if isinstance(other, str)]


def resources(draw: Draw, description: Any) -> Any:
    """Resources made from a description, so that they match, most of them then changed a little."""
    if not isinstance(description, dict):
        description = {}
    id_, demanded = description.get("id"), description.get("custom_data")
    resource: Any = {"id": id_ if isinstance(id_, str) and id_ else draw(st.sampled_from(STRINGS))}
    if isinstance(demanded, dict):
        resource["custom_data"] = dict(demanded)
    if one_in(draw, 3):
        resource.setdefault("custom_data", {})
        resource["custom_data"] = {draw(NAMES): values(draw, 1), **resource["custom_data"]}
    chance = draw(CHANCES)
    if chance >= 25:
        custom_data = resource.get("custom_data", {})
        if chance < 75:
            changed = near(draw, custom_data)
            return {**resource, "custom_data": changed if isinstance(changed, dict) else custom_data}
        if chance < 85:
            return {**resource, "id": near(draw, resource["id"])}
        resource = draw(st.sampled_from(_odd_resources(resource)))
    return resource


def _odd_resources(resource: dict[str, Any]) -> tuple[Any, ...]:
    id_, custom_data = resource["id"], resource.get("custom_data", {})
    return (
        {"id": id_},
        {**resource, "custom_data ": custom_data, "user_id": "a", "version": 2},
        {"id": id_, **custom_data},
        {"id": id_, "customData": custom_data},
        {"custom_data": custom_data},
        {"custom_data": {"id": id_, **custom_data}},
        {"id": "", "custom_data": custom_data},
        {"id": [id_], "custom_data": custom_data},
        {"id": None, "custom_data": custom_data},
        {"id": 1, "custom_data": custom_data},
        {"id": id_, "custom_data": None},
        {"id": id_, "custom_data": [custom_data]},
        {"id": id_, "custom_data": ""},
        {"id": id_, "custom_data": False},
        [resource],
        id_,
        None,
        {},
        {"resource": resource},
    )


@st.composite
def questions(draw: Draw, settings: PolicySettings) -> Questions:
    """Claims, mostly a type that they describe, and one resource or more."""
    asking = claims(draw, settings)
    policy = asking.get(settings.claim) if isinstance(asking, dict) else None
    described = [type_ for type_ in settings.types if isinstance(policy, dict) and type_ in policy]
    chance = draw(CHANCES)
    type_: Any = draw(st.sampled_from(described or settings.types))
    if chance >= 90:
        type_ = draw(st.sampled_from(settings.types))
    elif chance >= 86:
        type_ = draw(st.sampled_from([*_near_names(type_), "version", "", "id", None, 1, [type_], {}, True]))
    description = policy.get(type_) if isinstance(policy, dict) and isinstance(type_, str) else None
    return Questions(asking, type_, [resources(draw, description) for _ in range(draw(st.integers(1, 3)))])
