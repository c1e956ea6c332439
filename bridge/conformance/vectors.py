"""The vectors about decisions: the request of each case, and the decision that the rule book demands."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from bridge.conformance.vector_files import joined_text, read_cases
from bridge.decision import Request
from bridge.errors import MalformedInputError
from bridge.policy import PolicySettings
from bridge.strict_json import ABSENT, CLAIMS_BYTES, RESOURCE_BYTES, Absent, Value, encode, parse

_MAX_BYTES: Final = {"claims": CLAIMS_BYTES, "resource": RESOURCE_BYTES}
_SCHEMA: Final = "schema.json"

Stored = dict[tuple[str, str], bytes | None]
"""The stored resources in canonical text, by type and id; None for an id that must not be stored."""


@dataclass(frozen=True, slots=True, eq=False)
class PolicyCase:
    """One case, as its file has it.

    Attributes:
        file: The file's name, without its ending.
        name: Its stable name.
        rules: The rules that it is about.
        settings: What the rule set is rendered for.
        texts: The texts of `claims` and `resource` that the case has, exactly as written.
        members: The other members of the request that the case has, in canonical text.
        input: The whole input in canonical text if it is not a request, or None.
        stored: The stored resources.
        expected: The decision, as `Decision.as_dict` returns it.
        refused: The rule that one of the texts breaks, and which text; or None.
    """

    file: str
    name: str
    rules: tuple[str, ...]
    settings: PolicySettings
    texts: Mapping[str, bytes]
    members: Mapping[str, bytes]
    input: bytes | None
    stored: Stored
    expected: dict[str, Any]
    refused: tuple[str, str] | None

    def value(self, what: str) -> Value | Absent:
        """Return the value of `claims`, `type`, `resource` or `id`."""
        text = self.texts.get(what, self.members.get(what))
        return ABSENT if text is None else parse(text)

    def canonical(self, what: str) -> bytes | None:
        """Return the canonical text of `claims`, `type`, `resource` or `id`; raise what R12 demands."""
        if what in self.texts:
            return encode(parse(self.texts[what]), max_bytes=_MAX_BYTES[what])
        return self.members.get(what)

    def request(self) -> Request:
        """Return the request for an engine; raise what R12 demands."""
        return Request(**{what: self.canonical(what) for what in ("claims", "type", "resource", "id")})

    @property
    def is_accepted(self) -> bool:
        """Return whether its texts are accepted; `test_a_text_that_is_not_refused_is_read` checks that they must be."""
        try:
            self.request()
        except MalformedInputError:
            return False
        return self.refused is None

    def stored_key(self) -> tuple[str, str] | None:
        """Return the type and id if the resource is in the request and could be stored instead; else None."""
        type_, resource = self.value("type"), self.value("resource")
        if "id" in self.members or type_ not in self.settings.types or not isinstance(resource, dict):
            return None
        id_, custom_data = resource.get("id"), resource.get("custom_data", {})
        if not isinstance(type_, str) or not isinstance(id_, str) or not id_ or not isinstance(custom_data, dict):
            return None
        return type_, id_


@cache
def cases(path: Path) -> tuple[PolicyCase, ...]:
    """Return the cases of a file.

    Raises:
        UsageError: The file is malformed; the error has the place and the cause.
        OSError: The file cannot be read.
    """
    return read_cases(path, _SCHEMA, lambda _, members: _case(path.stem, members))


def shown(answer: object) -> str:
    """Return an answer as text in which 1 and true differ; equal answers have equal texts."""
    return json.dumps(answer, sort_keys=True, default=repr)


def _case(file: str, members: dict[str, Any]) -> PolicyCase:
    expected = dict(members["expect"])
    refused = expected.pop("refused", None)
    settings: dict[str, Any] = dict(members.get("settings", {}))
    if "types" in settings:
        settings["types"] = tuple(settings["types"])
    return PolicyCase(
        file=file,
        name=members["name"],
        rules=tuple(members["rules"]),
        settings=PolicySettings(**settings),
        texts={what: text for what in _MAX_BYTES if (text := _text(members, what)) is not None},
        members={what: encode(members[what], what=what) for what in ("type", "id") if what in members},
        input=encode(members["input"], what="input") if "input" in members else None,
        stored=_stored(members),
        expected=expected,
        refused=None if refused is None else (refused["rule"], refused["what"]),
    )


def _text(members: dict[str, Any], what: str) -> bytes | None:
    if what in members:
        return encode(members[what], what=what)
    if f"{what}_text" in members:
        return joined_text(members[f"{what}_text"]).encode()
    return base64.b64decode(members[f"{what}_base64"]) if f"{what}_base64" in members else None


def _stored(members: dict[str, Any]) -> Stored:
    stored: Stored = {}
    type_, id_ = members.get("type"), members.get("id")
    if "stored" in members and isinstance(type_, str) and isinstance(id_, str):
        stored[type_, id_] = None
    for name, resources in members.get("stored", {}).items():
        for each, resource in resources.items():
            stored[name, each] = encode(resource, what="stored")
    return stored
