"""Trim requests for Wasm, so that the content of end users costs no more than linear time.

OPA's Wasm hashes member names by FNV-1 without a seed, and sorts them by insertion: an attacker can choose names that
cost the square of their number. So only a light text goes to Wasm as it is. A heavy one is trimmed to what the rules
read, and if even that is heavy, the reference decides. See docs/decisions/large-resources-in-wasm.md.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from bridge import reference
from bridge.decision import Decision, Request
from bridge.policy import Policy, PolicySettings
from bridge.strict_json import Value, encode, parse_canonical

LIGHT_BYTES: Final = 4_096
"""The most bytes of a light text."""

LIGHT_NAMES: Final = 48
"""The most member names of a light text, at all depths together."""

TINY_BYTES: Final = 5 * LIGHT_NAMES
"""A text of so many bytes cannot have more names than that: a name with its value takes five bytes (`"":1,`)."""

MOST_DETAILS: Final = 24
"""The most constraints of a batch in Wasm; with more, the reference is faster."""

_FEW_VALUES: Final = 512
_FEW_DECIMALS: Final = 64  # encoding such a number takes 2 us

_HEAVY: Final = b" " * (LIGHT_BYTES + 1)

_NONE_OF_IT: Final = 0
"""A scalar in place of a value that is not a resource, an id, `custom_data` or claims either."""


def is_light(text: bytes) -> bool:
    """Return whether a canonical text is short and has few member names; a string that looks like a name counts too."""
    size = len(text)
    return size <= TINY_BYTES or (size <= LIGHT_BYTES and text.count(b'":') <= LIGHT_NAMES)


class Trimming:
    """Trims the requests of one call, and parses claims that they share only once.

    Args:
        settings: The engine's settings.
    """

    def __init__(self, settings: PolicySettings) -> None:
        self._settings = settings
        self._known: dict[bytes, _Claims] = {}

    def light(self, request: Request) -> Request | Decision:
        """Return a light request with the same decision, or else the reference's decision.

        Args:
            request: The request; one by id has the stored resource, if there is one, in `resource`.
        """
        claims, type_, resource, id_, _ = request  # without token rules, the rules never read a token
        if resource is not None:
            id_ = None  # nor an id beside a resource
        value: Value = None
        if resource is not None and not is_light(resource):
            value = parse_canonical(resource)
            resource = _encoded(_trimmed(value, self._demanded(claims, type_)))
        if claims is not None:
            claims = self._claims(claims).text
        if all(text is None or is_light(text) for text in (claims, type_, resource, id_)):
            return Request(claims, type_, resource, id_)
        return self._decide(request, value)

    def apart(self, requests: Sequence[Request]) -> tuple[list[Request], dict[int, Decision], int]:
        """Split requests into those for Wasm, in their order, and the reference's decisions on the others.

        Returns:
            The requests for Wasm; the decisions, by the places of their requests; and how many constraints, or
            different violations, a decision by Wasm may list.
        """
        light: list[Request] = []
        decided: dict[int, Decision] = {}
        subjects: set[tuple[bytes | None, bytes | None]] = set()
        claims = type_ = None
        for place, request in enumerate(requests):
            # Most have the claims and the type of the request before, which were light.
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
            one = self.light(request) if len(self._demanded(*request[:2])) < MOST_DETAILS else self._decide(request)
            if isinstance(one, Decision):
                decided[place] = one
                continue
            light.append(one)
            claims, type_ = subject = one[:2]
            subjects.add(subject)
        return light, decided, self._details(subjects)

    def _details(self, subjects: set[tuple[bytes | None, bytes | None]]) -> int:
        """Return how many constraints, or different violations, decisions for these claims and types may list."""
        if len(subjects) == 1:
            [subject] = subjects
            return len(self._demanded(*subject)) + 1
        return max((claims.count(b'":') for claims, _ in subjects if claims is not None), default=0)

    def _demanded(self, claims: bytes | None, type_: bytes | None) -> Mapping[str, Value]:
        """Return the members of `custom_data` that the policy demands; none if it is invalid."""
        if claims is None or type_ is None:
            return {}
        value = self._claims(claims).value
        for name in (self._settings.claim, parse_canonical(type_), "custom_data"):
            value = value.get(name) if isinstance(value, dict) and isinstance(name, str) else None
        return value if isinstance(value, dict) else {}

    def _decide(self, request: Request, resource: Value = None) -> Decision:
        """Return the reference's decision; it has no stored resources, like Wasm.

        Args:
            request: The request.
            resource: The resource, if it was parsed already.
        """
        input_: dict[str, Value] = {}
        claims = None if request.claims is None else self._claims(request.claims)
        if claims is not None:
            input_["claims"] = claims.value
        if request.type is not None:
            input_["type"] = parse_canonical(request.type)
        if request.resource is not None:
            input_["resource"] = parse_canonical(request.resource) if resource is None else resource
        elif request.id is not None:
            input_["id"] = parse_canonical(request.id)
        policy = None if claims is None else claims.policy(self._settings)
        return reference.decide(input_, self._settings, policy=policy)

    def _claims(self, text: bytes) -> _Claims:
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = _Claims(text, self._settings.claim)
        return known


class _Claims:
    """Parsed claims, and the part of them that the rules read, in canonical text."""

    def __init__(self, text: bytes, name: str) -> None:
        self.value = parse_canonical(text)
        self.text = text if is_light(text) else _encoded(_only(self.value, name))
        self._policy: Policy | Decision | None = None

    def policy(self, settings: PolicySettings) -> Policy | Decision | None:
        """Return the policy in the claims, or the decision if it is invalid; None if the claims are not an object."""
        if self._policy is None and isinstance(self.value, dict):
            self._policy = reference.policy_in(self.value, settings)
        return self._policy


def _only(claims: Value, name: str) -> Value:
    """Return the claims with only the policy claim, if they have it (R3)."""
    if not isinstance(claims, dict):
        return _NONE_OF_IT
    return {name: claims[name]} if name in claims else {}


def _trimmed(resource: Value, demanded: Mapping[str, Value]) -> Value:
    """Return the resource with only `id` and the demanded members of `custom_data`.

    It is a resource (R12.8) if and only if the whole one is: a member with a wrong type keeps a wrong type.
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


def _encoded(value: Value) -> bytes:
    """Return the canonical text of a value; if encoding it would cost too much, a text that is not light."""
    values, decimals = [value], 0
    for one in values:
        if isinstance(one, (dict, list)):
            if len(values) + len(one) > _FEW_VALUES:
                return _HEAVY
            values += one.values() if isinstance(one, dict) else one
        elif isinstance(one, Decimal):
            decimals += 1
    return _HEAVY if decimals > _FEW_DECIMALS else encode(value, max_bytes=sys.maxsize)
