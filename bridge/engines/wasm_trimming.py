"""What of a question goes to Wasm, so that what end users write costs no more than linear time.

OPA's Wasm hashes member names by FNV-1 without a seed, and sorts them by insertion: names that were chosen for it cost
the square of their number. So a text goes there whole only if it is light. A heavy one is trimmed to what the rules
look at, and where even that is heavy, the reference decides. See docs/decisions/large-resources-in-wasm.md.
"""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from bridge import reference
from bridge.decision import Decision, Request
from bridge.strict_json import encode, parse_canonical

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.policy import Policy, PolicySettings
    from bridge.strict_json import Value

LIGHT_BYTES: Final = 4_096
"""How long a light text is at most."""

LIGHT_NAMES: Final = 48
"""How many member names a light text has at most, wherever in it they stand."""

TINY_BYTES: Final = 5 * LIGHT_NAMES
"""A text of so many bytes has no room for more names than that: each takes five bytes with its value (`"":1,`)."""

MOST_DETAILS: Final = 24
"""How many constraints many questions may be about in Wasm; where there are more, the reference is the faster one."""

_FEW_VALUES: Final = 512
_FEW_DECIMALS: Final = 64  # such a number takes 2 us to write

_HEAVY: Final = b" " * (LIGHT_BYTES + 1)

_NONE_OF_IT: Final = 0
"""A scalar that is neither a resource, an id, `custom_data` nor claims, and stands for what is none either."""


def is_light(text: bytes) -> bool:
    """Whether a canonical text is short and has few member names; strings that look like a name count as one."""
    size = len(text)
    return size <= TINY_BYTES or (size <= LIGHT_BYTES and text.count(b'":') <= LIGHT_NAMES)


class Trimming:
    """Trims questions that are asked together; claims that they share are looked at once.

    Args:
        settings: What the engine decides by.
    """

    def __init__(self, settings: PolicySettings) -> None:
        self._settings = settings
        self._known: dict[bytes, _Claims] = {}

    def light(self, request: Request) -> Request | Decision:
        """A question that Wasm answers as it would the whole one, or else the reference's decision.

        Args:
            request: The question; not by the id of a resource that is known, which stands in `resource` by now.
        """
        claims, type_, resource, id_, _ = request  # rules that verify no tokens never look at one
        if resource is not None:
            id_ = None  # nor at an id then
        value: Value = None
        if resource is not None and not is_light(resource):
            value = parse_canonical(resource)
            resource = _written(_trimmed(value, self._demanded(claims, type_)))
        if claims is not None:
            claims = self._claims(claims).text
        if all(text is None or is_light(text) for text in (claims, type_, resource, id_)):
            return Request(claims, type_, resource, id_)
        return self._decided(request, value)

    def apart(self, requests: Sequence[Request]) -> tuple[list[Request], dict[int, Decision], int]:
        """Many questions: those for Wasm, in their order, and the decisions on the others, by their places.

        The number says how many constraints, or violations that differ, a decision by Wasm may list.
        """
        light: list[Request] = []
        decided: dict[int, Decision] = {}
        subjects: set[tuple[bytes | None, bytes | None]] = set()
        claims = type_ = None
        for place, request in enumerate(requests):
            # Most share claims and type with the one before, which were light.
            resource = request[2]
            if (
                request[0] is claims is not None
                and request[1] is type_
                and request[3] is None
                and resource is not None
                and (len(resource) <= TINY_BYTES or is_light(resource))
            ):
                light.append(request)
                continue
            one = self.light(request) if len(self._demanded(*request[:2])) < MOST_DETAILS else self._decided(request)
            if isinstance(one, Decision):
                decided[place] = one
                continue
            light.append(one)
            claims, type_ = subject = one[:2]
            subjects.add(subject)
        return light, decided, self._details(subjects)

    def _details(self, subjects: set[tuple[bytes | None, bytes | None]]) -> int:
        """How many constraints, or violations that differ, decisions on these may list; all of one have the same."""
        if len(subjects) == 1:
            [subject] = subjects
            return len(self._demanded(*subject)) + 1
        return max((claims.count(b'":') for claims, _ in subjects if claims is not None), default=0)

    def _demanded(self, claims: bytes | None, type_: bytes | None) -> Mapping[str, Value]:
        """The members of `custom_data` that are demanded; none where the policy is not such that anything is."""
        if claims is None or type_ is None:
            return {}
        found = self._claims(claims).value
        for name in (self._settings.claim, parse_canonical(type_), "custom_data"):
            found = found.get(name) if isinstance(found, dict) and isinstance(name, str) else None
        return found if isinstance(found, dict) else {}

    def _decided(self, request: Request, resource: Value = None) -> Decision:
        """The reference's decision; nothing is stored for it, as nothing is for Wasm.

        Args:
            request: The question.
            resource: The resource, where it was parsed.
        """
        question: dict[str, Value] = {}
        claims = None if request.claims is None else self._claims(request.claims)
        if claims is not None:
            question["claims"] = claims.value
        if request.type is not None:
            question["type"] = parse_canonical(request.type)
        if request.resource is not None:
            question["resource"] = parse_canonical(request.resource) if resource is None else resource
        elif request.id is not None:
            question["id"] = parse_canonical(request.id)
        policy = None if claims is None else claims.policy(self._settings)
        return reference.decide(question, self._settings, policy=policy)

    def _claims(self, text: bytes) -> _Claims:
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = _Claims(text, self._settings.claim)
        return known


class _Claims:
    """Claims, and what of them the rules look at, in canonical text."""

    def __init__(self, text: bytes, name: str) -> None:
        self.value = parse_canonical(text)
        self.text = text if is_light(text) else _written(_only(self.value, name))
        self._policy: Policy | Decision | None = None

    def policy(self, settings: PolicySettings) -> Policy | Decision | None:
        """What the reference makes of them; None where they are no claims."""
        if self._policy is None and isinstance(self.value, dict):
            self._policy = reference.policy_in(self.value, settings)
        return self._policy


def _only(claims: Value, name: str) -> Value:
    """The claims with the policy claim alone, if they have it (R3)."""
    if not isinstance(claims, dict):
        return _NONE_OF_IT
    return {name: claims[name]} if name in claims else {}


def _trimmed(resource: Value, demanded: Mapping[str, Value]) -> Value:
    """The resource with `id` and the demanded members of `custom_data` alone.

    It is a resource (R12.8) if and only if the whole one is: what is there with a wrong type stays there with one.
    """
    if not isinstance(resource, dict):
        return _NONE_OF_IT
    trimmed: dict[str, Value] = {}
    if "id" in resource:
        id_ = resource["id"]
        trimmed["id"] = id_ if isinstance(id_, str) else _NONE_OF_IT
    if "custom_data" in resource:
        have = resource["custom_data"]
        trimmed["custom_data"] = (
            {name: have[name] for name in demanded if name in have} if isinstance(have, dict) else _NONE_OF_IT
        )
    return trimmed


def _written(value: Value) -> bytes:
    """The canonical text of a value, or, where writing it would cost too much, one that is not light."""
    values, decimals = [value], 0
    for one in values:
        if isinstance(one, (dict, list)):
            if len(values) + len(one) > _FEW_VALUES:
                return _HEAVY
            values += one.values() if isinstance(one, dict) else one
        elif isinstance(one, Decimal):
            decimals += 1
    return _HEAVY if decimals > _FEW_DECIMALS else encode(value, max_bytes=sys.maxsize)
