"""More than 100,000 values that R12 accepts go through a push, OPA and Wasm, and are themselves afterwards (R11).

They are read from text that is spelled as awkwardly as JSON lets one, pushed at once, read back from OPA, demanded of
OPA and of Wasm, and refused by both where the demand is for the nearest other value.
"""

from __future__ import annotations

import json
import math
import secrets
import struct
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from conformance import tally
from fuzz.strict_json_property import independently, same

from bridge import OpaClient, PolicyBridge
from bridge.decision import Failure, Reason, Request
from bridge.engines import OpaEngine, WasmEngine
from bridge.errors import MalformedInputError
from bridge.reference import equal
from bridge.rendering import RuleSet
from bridge.store import from_lines
from bridge.strict_json import encode, parse, pointer

RESOURCES = 11_500
VALUES_EACH = 9
BATCH = 250
SAMPLE = 200

# --- values, spelled ----------------------------------------------------------------------------------------------

CHARACTERS = (
    range(0x20),
    range(0x20, 0x7F),
    (0x22, 0x5C, 0x2F, 0x3C, 0x3E, 0x26, 0x27, 0x60, 0x7B, 0x24),
    range(0x7F, 0x100),
    range(0x300, 0x370),
    (0x2028, 0x2029, 0x200B, 0x202E, 0xFEFF, 0xFFFD, 0xFFFE, 0xFFFF, 0x85, 0xAD, 0x130, 0x131, 0x1E9E, 0x212A),
    range(0x100, 0xD800),
    range(0xE000, 0x10000),
    range(0x10000, 0x20000),
    range(0x20000, 0x30000),
    range(0x30000, 0x110000),
)
WORDS = (
    "",
    "id",
    "custom_data",
    "version",
    "devices",
    "__proto__",
    "a/b",
    "~0",
    "~1",
    "0",
    "1",
    "null",
    "true",
    "{{x}}",
    "..",
)


class Speller:
    """Makes values, each as a text that spells it."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def value(self, depth: int = 0) -> str:
        chance = self.random.randrange(100)
        if chance < 45:
            return self.number()
        if chance < 80 or depth > 3:
            return self.string()[0]
        if chance < 85:
            return self.random.choice(("true", "false", "null"))
        size = self.random.randrange(4)
        if chance < 92:
            return self.within("[", [self.value(depth + 1) for _ in range(size)], "]")
        if chance == 92:
            deep = self.random.randrange(1, 56)
            return "[" * deep + self.number() + "]" * deep
        return self.within("{", [self.member(name, self.value(depth + 1)) for name in self.names(size)], "}")

    def within(self, before: str, parts: list[str], after: str) -> str:
        return before + self.space() + f"{self.space()},{self.space()}".join(parts) + self.space() + after

    def member(self, name: str, value: str) -> str:
        return f"{name}{self.space()}:{self.space()}{value}"

    def names(self, count: int) -> list[str]:
        """Texts of names, all different."""
        texts_by_name: dict[str, str] = {}
        while len(texts_by_name) < count:
            text, name = self.string()
            texts_by_name.setdefault(name, text)
        return list(texts_by_name.values())

    def space(self) -> str:
        return self.random.choice(("", "", "", "", " ", "\t", "\r "))

    def string(self) -> tuple[str, str]:
        """A text and the string that it spells."""
        if self.random.randrange(10) == 0:
            value = self.random.choice(WORDS)
        else:
            value = "".join(
                chr(self.random.choice(self.random.choice(CHARACTERS))) for _ in range(self.random.randrange(1, 7))
            )
        return '"' + "".join(map(self.character, value)) + '"', value

    def character(self, char: str) -> str:
        if self.random.randrange(3):
            return json.dumps(char, ensure_ascii=False)[1:-1]
        if char in '"\\/' and self.random.randrange(2):
            return "\\" + char
        units = char.encode("utf-16-be")
        form = self.random.choice(("{:04x}", "{:04X}"))
        return "".join("\\u" + form.format(int.from_bytes(units[at : at + 2])) for at in range(0, len(units), 2))

    def number(self) -> str:
        while True:
            text = self.spelled(self.random.choice((self.double, self.integer, self.decimal, self.neighbour))())
            try:
                parse(text)
            except MalformedInputError:
                continue
            return text

    def double(self) -> str:
        while True:
            (value,) = struct.unpack("<d", self.random.randbytes(8))
            if math.isfinite(value):
                return repr(value)

    def integer(self) -> str:
        return str(self.random.choice((1, -1)) * self.random.randrange(10 ** self.random.randrange(1, 41)))

    def decimal(self) -> str:
        digits = self.random.randrange(10 ** self.random.randrange(1, 18))
        return f"{digits}e{self.random.choice((self.random.randrange(-30, 30), self.random.randrange(-340, 308)))}"

    def neighbour(self) -> str:
        """Near a power of two, where doubles begin to miss integers and the like."""
        return str(2 ** self.random.choice((24, 31, 32, 53, 54, 62, 63, 64, 100)) + self.random.randrange(-2, 3))

    def spelled(self, text: str) -> str:
        """The same number with its point elsewhere, or with zeros that say nothing."""
        sign, digits, power = Decimal(text).as_tuple()
        assert isinstance(power, int)
        mantissa = "".join(map(str, digits)) + "0" * self.random.choice((0, 0, 0, 1, 3))
        power -= len(mantissa) - len(digits)
        how = self.random.randrange(4)
        if how == 0:
            return text
        point = self.random.randrange(1, len(mantissa) + 1)
        power += len(mantissa) - point
        whole = mantissa[:point].lstrip("0") or "0"
        exponent = f"{self.random.choice('eE')}{power:+d}" if power else self.random.choice(("", "e0", "E-0"))
        return "-" * sign + whole + ("." + mantissa[point:] if mantissa[point:] else "") + exponent


@dataclass(frozen=True, slots=True)
class Sample:
    """Resources as they were spelled, and as they were read; by id."""

    lines: list[bytes]
    read: dict[str, Any]
    values: int


def sample(speller: Speller) -> Sample:
    lines, read, values = [], {}, 0
    for id_ in [text for text in speller.names(RESOURCES + 1) if text != '""'][:RESOURCES]:
        custom_data = [speller.member(name, speller.value(1)) for name in speller.names(VALUES_EACH)]
        members = [
            speller.member('"id"', id_),
            speller.member('"custom_data"', speller.within("{", custom_data, "}")),
            speller.member('"more"', speller.value()),
        ]
        speller.random.shuffle(members)
        line = speller.within("{", members, "}").encode() + b"\n"
        resource = parse(line)
        assert isinstance(resource, dict)
        assert same(resource, independently(line)), line
        lines.append(line)
        read[resource["id"]] = resource
        values += len(resource["custom_data"])
    return Sample(lines, read, values)


def in_order(value: Any) -> Any:
    """The value with its members sorted, which are in no order, for comparing texts."""
    if isinstance(value, dict):
        return {name: in_order(value[name]) for name in sorted(value)}
    return list(map(in_order, value)) if isinstance(value, list) else value


def unharmed(actual: Any, wanted: Any) -> bool:
    return equal(actual, wanted) and encode(in_order(actual)) == encode(in_order(wanted))


# --- the nearest other value --------------------------------------------------------------------------------------


def other(random: Random, value: Any) -> Any:
    """A value that is nearly this one, and is not."""
    candidate = value
    while equal(parse(encode(candidate)), value):
        candidate = _near(random, value)
    return candidate


def _near(random: Random, value: Any) -> Any:
    if isinstance(value, str):
        return _near_string(random, value)
    if value is None or isinstance(value, bool):
        return random.choice((None, True, False, 0, 1, "", "null", "true", "false"))
    if isinstance(value, int):
        return random.choice((value - (1 if value > 0 else -1), -value, str(value), [value], float(value)))
    if isinstance(value, Decimal):
        sign, digits, power = value.as_tuple()
        last = digits[-1] + (1 if digits[-1] < 7 else -1)
        return random.choice((Decimal((sign, (*digits[:-1], last), power)), -value, str(value)))
    if isinstance(value, list):
        if value and random.randrange(3):
            at = random.randrange(len(value))
            return [*value[:at], _near(random, value[at]), *value[at + 1 :]]
        return random.choice(([*value, None], value[:-1], value[::-1], dict(zip("0123456789", value, strict=False))))
    if value and random.randrange(3):
        name = random.choice(list(value))
        return {**value, name: _near(random, value[name])}
    if value and random.randrange(2):
        name = random.choice(list(value))
        return {(_near_string(random, one) if one == name else one): item for one, item in value.items()}
    return random.choice(({**value, "\x00": None}, list(value), list(value.values())))


def _near_string(random: Random, value: str) -> str:
    if not value:
        return random.choice(("\x00", " ", "\u200b", "\ufeff"))
    at = random.randrange(len(value))
    code = ord(value[at])
    planes = [chr(code ^ bit) for bit in (0x10000, 0x20000, 0x100, 1) if code ^ bit < 0x110000]
    changed = [char for char in planes if not 0xD800 <= ord(char) < 0xE000]
    replaced = random.choice(
        [*changed, "\ufffd", value[at].swapcase(), value[at].encode("unicode_escape").decode("ascii")]
    )
    form = random.choice(("NFC", "NFD", "NFKC", "NFKD"))
    return random.choice(
        (
            value[:at] + replaced + value[at + 1 :],
            value[:at] + replaced + value[at + 1 :],
            value + random.choice((" ", "\x00", "\ufeff", "\u0301")),
            value[:-1],
            unicodedata.normalize(form, value),
        )
    )


# --- the tests ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pushed() -> Sample:
    return sample(Speller(tally.seed()))


@pytest.fixture(scope="module")
def opa(opa_url, pushed):
    """The resources in OPA's data, in one push, below roots of this file's own."""
    name = f"unharmed_{secrets.token_hex(6)}"
    client = OpaClient(opa_url, deadline=60)
    engine = OpaEngine(client, RuleSet(package_root=name, data_root=f"{name}_data"))
    engine.install()
    yield filled(engine, pushed)
    engine.uninstall()
    engine.close()


@pytest.fixture(scope="module")
def wasm(pushed):
    with PolicyBridge(WasmEngine()) as bridge:
        yield filled(bridge.engine, pushed)


def filled(engine, pushed):
    report = PolicyBridge(engine).push("devices", from_lines(pushed.lines))
    assert report.rejected == ()
    assert report.stored == len(pushed.lines) == len(pushed.read)
    return engine


def test_there_are_enough_of_them(pushed):
    assert pushed.values >= 100_000
    kinds = [type(value) for resource in pushed.read.values() for value in resource["custom_data"].values()]
    for kind in (int, Decimal, str, list, dict, bool, type(None)):
        assert kinds.count(kind) > 1_000, kind


def test_what_is_pushed_is_read_back_from_opa(opa, pushed):
    stored = {id_: resource for shard in opa.store.resources("devices") for id_, resource in shard.items()}
    assert stored.keys() == pushed.read.keys()
    read_back = 0
    for id_, resource in pushed.read.items():
        assert unharmed(stored[id_], resource), (tally.seed(), id_)
        read_back += len(stored[id_]["custom_data"])
    assert read_back >= 100_000


@pytest.mark.parametrize("name", ["opa", "wasm"])
def test_what_is_pushed_is_explained(request, name, pushed):
    engine = request.getfixturevalue(name)
    for id_ in Random(tally.seed()).sample(sorted(pushed.read), SAMPLE):
        decision, explained = engine.explain(Request(claims=b"{}", type=b'"devices"', id=encode(id_)))
        assert decision.reason is Reason.UNRESTRICTED
        assert unharmed(parse(explained), pushed.read[id_]), (tally.seed(), id_)


@pytest.mark.parametrize(("name", "one_in", "least"), [("opa", 4, 25_000), ("wasm", 1, 100_000)])
def test_a_demand_for_each_value_allows_and_one_for_its_nearest_does_not(request, pushed, name, one_in, least):
    """OPA, which has given all of them back above, is asked about some."""
    engine = request.getfixturevalue(name)
    random = Random(tally.seed())
    resources = list(pushed.read.values())[::one_in]
    compared = 0
    for start in range(0, len(resources), BATCH):
        requests, wanted = [], []
        for resource in resources[start : start + BATCH]:
            custom_data = resource["custom_data"]
            requests.append(demanding(resource["id"], resource["id"], custom_data))
            wanted.append((Reason.MATCHED, ()))
            near = {member: other(random, value) for member, value in custom_data.items()}
            requests.append(demanding(resource["id"], resource["id"], near))
            failures = sorted(Failure(pointer("custom_data", member), "different") for member in custom_data)
            wanted.append((Reason.CONSTRAINT_FAILED, tuple(failures)))
            requests.append(demanding(resource["id"], other(random, resource["id"]), {}))
            wanted.append((Reason.CONSTRAINT_FAILED, (Failure("/id", "different"),)))
            compared += len(custom_data)
        for question, expected, decision in zip(requests, wanted, engine.decide(requests), strict=True):
            assert (decision.reason, decision.failures) == expected, (tally.seed(), question)
    assert compared >= least


def demanding(id_, wanted_id, custom_data):
    claims = {"policy": {"version": 2, "devices": {"id": wanted_id, "custom_data": custom_data}}}
    return Request(claims=encode(claims), type=b'"devices"', id=encode(id_))
