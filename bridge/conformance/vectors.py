"""The vectors about decisions, read: what is asked, and the answer that the rule book demands."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from bridge.conformance.schema import Fields, read_cases
from bridge.decision import Decision, Failure, Reason, Request, Violation
from bridge.errors import ConfigurationError, MalformedInputError
from bridge.policy import PolicySettings
from bridge.strict_json import ABSENT, CLAIMS_BYTES, RESOURCE_BYTES, encode, parse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bridge.strict_json import Absent, Value

_MOST_BYTES: Final = {"claims": CLAIMS_BYTES, "resource": RESOURCE_BYTES}
_TEXTS: Final = tuple(f"{what}{form}" for what in _MOST_BYTES for form in ("", "_text", "_base64"))
_QUESTION: Final = (*_TEXTS, "type", "id", "stored")
_R12: Final = frozenset(f"R12.{number}" for number in range(1, 7))

Stored = dict[tuple[str, str], bytes | None]
"""What is stored, in canonical text by type and id; None for what must not be stored."""


@dataclass(frozen=True, slots=True, eq=False)
class PolicyCase:
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
        """The question, for an engine; raises what R12 says."""
        return Request(**{what: self.canonical(what) for what in ("claims", "type", "resource", "id")})

    @property
    def is_accepted(self) -> bool:
        """Whether its texts are read at all; `test_a_text_that_is_not_refused_is_read` says if they had to be."""
        try:
            self.request()
        except MalformedInputError:
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
def cases(path: Path) -> tuple[PolicyCase, ...]:
    """The cases of a file.

    Raises:
        UsageError: The file is malformed; the error says where and how.
        OSError: It cannot be read.
    """
    return read_cases(path, lambda _, case: _case(path.stem, case))


def shown(answer: object) -> str:
    """An answer as text that tells 1 from true; equal answers have equal texts."""
    return json.dumps(answer, sort_keys=True, default=repr)


def _case(file: str, case: Fields) -> PolicyCase:
    case.only(("name", "rules", "expect"), ("why", "settings", "input", *_QUESTION))
    if "input" in case and any(name in case for name in _QUESTION):
        raise case.wrong("input", "it is the whole question, so no member of one can stand beside it")
    if ("id" in case) is not ("stored" in case):
        raise case.wrong("id", "it goes with `stored`, and `stored` with it")
    expected, refused = _expected(case.within("expect"))
    return PolicyCase(
        file=file,
        name=case.string("name"),
        rules=case.strings("rules"),
        settings=_settings(case.within("settings")) if "settings" in case else PolicySettings(),
        texts={what: text for what in _MOST_BYTES if (text := _text(case, what)) is not None},
        members={what: _encoded(case, what) for what in ("type", "id") if what in case},
        input=_encoded(case, "input") if "input" in case else None,
        stored=_stored(case),
        expected=expected,
        refused=refused,
    )


def _settings(settings: Fields) -> PolicySettings:
    settings.only((), ("claim", "types", "require_policy", "versions"))
    given: dict[str, Any] = {}
    if "claim" in settings:
        given["claim"] = settings.string("claim")
    if "types" in settings:
        given["types"] = settings.strings("types")
    if "require_policy" in settings:
        given["require_policy"] = settings.boolean("require_policy")
    if "versions" in settings:
        given["versions"] = settings.items("versions")
    try:
        return PolicySettings(**given)
    except ConfigurationError as error:
        raise ConfigurationError(f"{settings.place}: {error}") from None


def _text(case: Fields, what: str) -> bytes | None:
    forms = [name for name in (what, f"{what}_text", f"{what}_base64") if name in case]
    if not forms:
        return None
    if len(forms) > 1:
        raise case.wrong(forms[1], f"`{forms[0]}` is there already")
    if forms[0] == what:
        return _encoded(case, what)
    return case.text(forms[0]).encode() if forms[0].endswith("_text") else case.base64(forms[0])


def _encoded(case: Fields, name: str) -> bytes:
    try:
        return encode(case.value[name])
    except MalformedInputError as error:
        raise case.wrong(name, str(error)) from None


def _stored(case: Fields) -> Stored:
    stored: Stored = {}
    if "stored" not in case:
        return stored
    type_, id_ = case.value.get("type"), case.value["id"]
    if isinstance(type_, str) and isinstance(id_, str):
        stored[type_, id_] = None
    types = case.within("stored")
    for name in types.value:
        resources = types.within(name)
        for each in resources.value:
            stored[name, each] = _encoded(resources, each)
    return stored


def _expected(expect: Fields) -> tuple[dict[str, Any], tuple[str, str] | None]:
    expect.only(("allow", "reason"), ("violations", "failures", "refused"))
    reason = expect.string("reason")
    if reason not in set(Reason):
        raise expect.wrong("reason", "no such reason is known")
    try:
        Decision(  # contradicts itself, or is one
            allow=expect.boolean("allow"),
            reason=Reason(reason),
            violations=tuple(Violation(*pair) for pair in _details(expect, "violations")),
            failures=tuple(Failure(*pair) for pair in _details(expect, "failures")),
        )
    except ValueError as error:
        raise expect.wrong("reason", str(error)) from None
    # What is wanted is what the file says: nothing of what is judged by it may have written it.
    wanted: dict[str, Any] = {name: value for name, value in expect.value.items() if name != "refused"}
    if "refused" not in expect:
        return wanted, None
    refused = expect.within("refused")
    refused.only(("rule", "what"))
    if refused.string("rule") not in _R12 or refused.string("what") not in _MOST_BYTES:
        raise expect.wrong("refused", "a `rule` from R12.1 to R12.6, and `what`, `claims` or `resource`, are needed")
    return wanted, (refused.string("rule"), refused.string("what"))


def _details(expect: Fields, name: str) -> list[tuple[str, str]]:
    found = []
    if name in expect and not expect.items(name):
        raise expect.wrong(name, "where there are none, it is left out")
    for value in expect.items(name) if name in expect else ():
        detail = Fields.of(value, f"{expect.place}: `{name}`")
        detail.only(("pointer", "code"))
        found.append((detail.string("pointer"), detail.string("code")))
    return found
