"""The vectors of tests/vectors, read: what is asked, and the answer that the rule book demands."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bridge.decision import Request
from bridge.errors import MalformedInput
from bridge.policy import PolicySettings
from bridge.strict_json import ABSENT, CLAIMS_BYTES, RESOURCE_BYTES, encode, parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.strict_json import Absent, Value

FOLDER: Final = Path(__file__).resolve().parent.parent / "vectors"
SCHEMA: Final = FOLDER / "schema.json"
FILES: Final = tuple(sorted(path for path in FOLDER.glob("*.json") if path != SCHEMA))
_MOST_BYTES: Final = {"claims": CLAIMS_BYTES, "resource": RESOURCE_BYTES}
_FILE_DEPTH: Final = 128  # a claim may nest 64 deep, and stands inside a case

Stored = dict[tuple[str, str], bytes | None]
"""What is stored, in canonical text by type and id; None for what must not be stored."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One case, as its file has it.

    Attributes:
        file: The file's name, without its ending.
        name: Its stable name.
        rules: The rules that it is about.
        settings: What the rule set is rendered for.
        texts: The texts of `claims` and `resource` that are there, as spelled.
        members: The other members of the question that are there, in canonical text.
        input: The whole input in canonical text, where it is no question.
        stored: What is stored.
        expected: The decision, as `Decision.as_dict` gives it.
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
        """The value of `claims`, `type`, `resource` or `id`."""
        text = self.texts.get(what, self.members.get(what))
        return ABSENT if text is None else parse(text)

    def canonical(self, what: str) -> bytes | None:
        """The canonical text of `claims`, `type`, `resource` or `id`; raises what R12 says."""
        if what in self.texts:
            return encode(parse(self.texts[what]), max_bytes=_MOST_BYTES[what])
        return self.members.get(what)

    def request(self) -> Request:
        """The question, for an engine."""
        return Request(**{what: self.canonical(what) for what in ("claims", "type", "resource", "id")})

    @property
    def is_accepted(self) -> bool:
        """Whether its texts are read at all; `test_a_text_that_is_not_refused_is_read` says if they had to be."""
        try:
            self.request()
        except MalformedInput:
            return False
        return self.refused is None

    def stored_key(self) -> tuple[str, str] | None:
        """Type and id to ask by, where the resource came with the question and could as well be stored."""
        type_, resource = self.value("type"), self.value("resource")
        if "id" in self.members or type_ not in self.settings.types or not isinstance(resource, dict):
            return None
        id_, custom_data = resource.get("id"), resource.get("custom_data", {})
        if not isinstance(type_, str) or not isinstance(id_, str) or not id_ or not isinstance(custom_data, dict):
            return None
        return type_, id_


@cache
def cases(path: Path) -> tuple[Case, ...]:
    """The cases of a file."""
    document = parse(path.read_bytes(), max_depth=_FILE_DEPTH)
    assert isinstance(document, dict)
    found = document["cases"]
    assert isinstance(found, list)
    return tuple(_case(path.stem, case) for case in found)


def all_cases() -> tuple[Case, ...]:
    """The cases of all files."""
    return tuple(case for path in FILES for case in cases(path))


def shown(answer: object) -> str:
    """An answer as text that tells 1 from true; equal answers have equal texts."""
    return json.dumps(answer, sort_keys=True, default=repr)


def _case(file: str, case: Any) -> Case:
    settings = case.get("settings", {})
    if "types" in settings:
        settings = {**settings, "types": tuple(settings["types"])}
    expected = dict(case["expect"])
    refused = expected.pop("refused", None)
    return Case(
        file=file,
        name=case["name"],
        rules=tuple(case["rules"]),
        settings=PolicySettings(**settings),
        texts={what: text for what in _MOST_BYTES if (text := _text(case, what)) is not None},
        members={what: encode(case[what]) for what in ("type", "id") if what in case},
        input=encode(case["input"]) if "input" in case else None,
        stored=_stored(case),
        expected=expected,
        refused=refused and (refused["rule"], refused["what"]),
    )


def _text(case: Mapping[str, Any], what: str) -> bytes | None:
    if what in case:
        return encode(case[what])
    if f"{what}_base64" in case:
        return base64.b64decode(case[f"{what}_base64"], validate=True)
    text: str | Sequence[Any] | None = case.get(f"{what}_text")
    if text is None:
        return None
    parts = [text] if isinstance(text, str) else text
    return "".join(part if isinstance(part, str) else part["repeat"] * part["times"] for part in parts).encode()


def _stored(case: Mapping[str, Any]) -> Stored:
    stored: Stored = {}
    if "stored" in case and isinstance(case.get("type"), str) and isinstance(case["id"], str):
        stored[case["type"], case["id"]] = None
    for type_, resources in case.get("stored", {}).items():
        for id_, resource in resources.items():
            stored[type_, id_] = encode(resource)
    return stored
