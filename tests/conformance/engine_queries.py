"""Every way to ask each decider, and the answers that differ from the vectors'."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import requests
from conformance.committed_vectors import shown

from bridge import reference
from bridge.client import PolicyBridge
from bridge.conformance.case_queries import (
    NO_RESOURCE,
    NOBODY,
    CaseQuery,
    as_they_stand,
    by_id,
    groups,
    is_nothing_stored,
    is_pushable,
    is_resource,
)
from bridge.engines import OpaEngine, ReferenceEngine, WasmEngine
from bridge.errors import BridgeError
from bridge.rendering import RuleSet, build_wasm, entrypoints, prebuilt_wasm
from bridge.store import layout
from bridge.strict_json import encode, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from conformance.committed_vectors import Stored

    from bridge.decision import Decision
    from bridge.policy import PolicySettings

__all__ = [
    "QUERY_METHODS",
    "CaseQuery",
    "Deciders",
    "QueryMethod",
    "as_they_stand",
    "by_id",
    "differences",
    "entrypoint",
    "entrypoint_url",
    "is_pushable",
    "objects",
]

_BATCH_DEPTH: Final = 68  # a resource in an array in the input
_LONGEST_NUMBER: Final = 1_000

Answered: TypeAlias = "Iterator[tuple[CaseQuery, object, object]]"
"""A question, the answer that is wanted, and the one that was given."""


class Deciders:
    """The bridges that the tests ask, one for each engine and settings; those on OPA have rules of their own there.

    Args:
        another_opa_url: Starts a server and returns its address.
        folder: Where Wasm is built.
        run: What tells the rules of this run from others.
    """

    def __init__(self, another_opa_url: Callable[[], str], folder: Path, run: str) -> None:
        self._another_opa_url = another_opa_url
        self.http = requests.Session()
        self.http.trust_env = False
        self._folder = folder
        self._run = run
        self._bridges: dict[tuple[str, PolicySettings], PolicyBridge] = {}

    def bridge(self, engine: str, settings: PolicySettings) -> PolicyBridge:
        bridge = self._bridges.get((engine, settings))
        if bridge is None:
            bridge = self._bridges[engine, settings] = PolicyBridge(self._engine(engine, settings))
            bridge.install()
        return bridge

    def close(self) -> None:
        self.http.close()
        for bridge in self._bridges.values():
            if isinstance(bridge.engine, OpaEngine):
                bridge.engine.uninstall()
            bridge.close()

    def _engine(self, engine: str, settings: PolicySettings) -> ReferenceEngine | WasmEngine | OpaEngine:
        rule_set = RuleSet(policy=settings)
        if engine == "reference":
            return ReferenceEngine(rule_set)
        number = len(self._bridges)
        if engine == "opa":
            roots = {root: f"jwt_policy_test_{self._run}_{number}{root[:1]}" for root in ("package_root", "data_root")}
            return OpaEngine(self._another_opa_url(), replace(rule_set, **roots))
        if prebuilt_wasm(rule_set) is not None:
            return WasmEngine(rule_set)
        path = self._folder / f"{number}.wasm"
        path.write_bytes(build_wasm(rule_set))
        return WasmEngine(rule_set, wasm=path)


@dataclass(frozen=True, slots=True)
class QueryMethod:
    """A way to ask an engine.

    Attributes:
        engine: The engine's name.
        ask: Asks the questions of one group.
        fits: Whether a question can be asked this way.
        fills_store: Whether the engine's store is what is asked by id.
    """

    engine: str
    ask: Callable[[Deciders, PolicyBridge, Sequence[CaseQuery]], Answered]
    fits: Callable[[CaseQuery], bool]
    fills_store: bool = True

    def __str__(self) -> str:
        return f"{self.engine}-{self.ask.__name__}"


def differences(deciders: Deciders, way: QueryMethod, questions: Iterable[CaseQuery]) -> list[str]:
    """What was answered otherwise than wanted, a text each; the stored resources are brought there first."""
    texts = []
    for settings, stored, group in groups(questions):
        bridge = deciders.bridge(way.engine, settings)
        if way.fills_store:
            _store(bridge, stored)
        for question, wanted, actual in way.ask(deciders, bridge, group):
            if shown(wanted) != shown(actual):
                texts.append(f"{question.case.name}:\n  wanted {shown(wanted)}\n  given  {shown(actual)}")
    return texts


def _store(bridge: PolicyBridge, stored: Stored) -> None:
    """Store exactly that: by a push where a push takes it, else behind its back, which only OPA allows."""
    values: dict[str, dict[str, bytes]] = {type_: {} for type_ in bridge.engine.rule_set.policy.types}
    pushable = True
    for (type_, id_), text in stored.items():
        if text is not None:
            pushable = pushable and is_resource(values, type_, id_, text)
            values.setdefault(type_, {})[id_] = text
    if pushable:
        for type_, resources in values.items():
            bridge.push(type_, map(parse, resources.values()), force=True)
        return
    assert isinstance(bridge.engine, OpaEngine)
    types = [
        encode(type_) + b":" + layout.document({encode(id_): text for id_, text in resources.items()})
        for type_, resources in values.items()
    ]
    root = bridge.engine.rule_set.data_root
    bridge.engine.opa.put_data(root.split("."), b"{" + b",".join(types) + b"}")


# Ways to ask through PolicyBridge.


def check(_: Deciders, bridge: PolicyBridge, questions: Sequence[CaseQuery]) -> Answered:
    for question in questions:
        arguments = _arguments(question, parse)
        yield question, question.case.expected, _said(lambda a=arguments: bridge.check(*a).as_dict())


def check_of_objects(_: Deciders, bridge: PolicyBridge, questions: Sequence[CaseQuery]) -> Answered:
    """With the Python objects that the standard library reads from the texts as they are spelled."""
    for question in questions:
        try:
            arguments = _arguments(_spelled(question), objects)
        except ValueError:  # a number that only strict_json can read
            continue
        yield question, question.case.expected, _said(lambda a=arguments: bridge.check(*a).as_dict())


def check_many(_: Deciders, bridge: PolicyBridge, questions: Sequence[CaseQuery]) -> Answered:
    for question in questions:
        claims, type_, item = _arguments(question, parse)
        another = NOBODY if question.request.resource is None else NO_RESOURCE
        wanted = [question.expected_of_another, question.case.expected, question.case.expected]
        items = [another, item, item]
        yield question, wanted, _said(lambda a=(claims, type_, items): _dicts(bridge.check_many(*a)))


def explain(_: Deciders, bridge: PolicyBridge, questions: Sequence[CaseQuery]) -> Answered:
    for question in questions:
        arguments = _arguments(question, parse)
        expected = question.case.expected
        wanted = [expected, expected.get("failures", [])]
        yield question, wanted, _said(lambda a=arguments: _explained(bridge, *a))


def batch(_: Deciders, bridge: PolicyBridge, questions: Sequence[CaseQuery]) -> Answered:
    """All in one query, whatever they are."""
    decisions = bridge.engine.decide([question.request for question in questions])
    for question, decision in zip(questions, decisions, strict=True):
        yield question, question.case.expected, decision.as_dict()


def _arguments(question: CaseQuery, read: Callable[[bytes], Any]) -> tuple[Any, Any, Any]:
    request = question.request
    item = request.id if request.resource is None else request.resource
    assert request.claims is not None
    assert request.type is not None
    assert item is not None
    return read(request.claims), read(request.type), read(item)


def _spelled(question: CaseQuery) -> CaseQuery:
    texts = question.case.texts
    resource = None if question.request.resource is None else texts["resource"]
    return replace(question, request=question.request._replace(claims=texts["claims"], resource=resource))


def objects(text: bytes) -> Any:
    """The Python objects of a text, as the standard library reads it, and Decimal for fractions.

    Raises:
        ValueError: The standard library cannot read it, or it has a number of a length that an object does not show.
    """
    return json.loads(text.decode("utf-8"), parse_float=_fraction, parse_int=_integer)


def _fraction(text: str) -> Decimal:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(text)
    try:
        return Decimal(text)
    except ArithmeticError:
        raise ValueError(text) from None


def _integer(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(text)
    return int(text)


def _explained(bridge: PolicyBridge, claims: Any, type_: Any, item: Any) -> object:
    explanation = bridge.explain(claims, type_, item)
    demands = [{"pointer": demand.failure.pointer, "code": demand.failure.code} for demand in explanation.failures]
    return [explanation.decision.as_dict(), demands]


def _dicts(decisions: Iterable[Decision]) -> list[dict[str, object]]:
    return [decision.as_dict() for decision in decisions]


def _said(ask: Callable[[], object]) -> object:
    """An answer, or the error in its place, so that one does not hide the cases behind it."""
    try:
        return ask()
    except BridgeError as error:
        return repr(error)


# Ways to ask a decider itself.


def definition(_: Deciders, bridge: PolicyBridge, questions: Sequence[CaseQuery]) -> Answered:
    """`reference.decide`, which may be given any stored value."""
    for question in questions:
        stored: dict[str, dict[str, Any]] = {}
        for (type_, id_), text in question.stored.items():
            if text is not None:
                stored.setdefault(type_, {})[id_] = parse(text)
        decision = reference.decide(parse(question.text, max_depth=_BATCH_DEPTH), bridge.engine.rule_set.policy, stored)
        yield question, question.case.expected, decision.as_dict()


def decision_of_wasm(_: Deciders, bridge: PolicyBridge, questions: Sequence[CaseQuery]) -> Answered:
    return _one(questions, _wasm(bridge, "decision"))


def allow_of_wasm(_: Deciders, bridge: PolicyBridge, questions: Sequence[CaseQuery]) -> Answered:
    return _verdict(questions, _wasm(bridge, "allow"))


def decisions_of_wasm(_: Deciders, bridge: PolicyBridge, questions: Sequence[CaseQuery]) -> Answered:
    return _several(questions, _wasm(bridge, "decisions"))


def decision_over_http(deciders: Deciders, bridge: PolicyBridge, questions: Sequence[CaseQuery]) -> Answered:
    return _one(questions, _http(deciders, bridge, "decision"))


def allow_over_http(deciders: Deciders, bridge: PolicyBridge, questions: Sequence[CaseQuery]) -> Answered:
    return _verdict(questions, _http(deciders, bridge, "allow"))


def decisions_over_http(deciders: Deciders, bridge: PolicyBridge, questions: Sequence[CaseQuery]) -> Answered:
    return _several(questions, _http(deciders, bridge, "decisions"))


Ask: TypeAlias = "Callable[[bytes], object]"


def _one(questions: Sequence[CaseQuery], ask: Ask) -> Answered:
    for question in questions:
        yield question, question.case.expected, ask(question.text)


def _verdict(questions: Sequence[CaseQuery], ask: Ask) -> Answered:
    for question in questions:
        yield question, question.case.expected["allow"], ask(question.text)


def _several(questions: Sequence[CaseQuery], ask: Ask) -> Answered:
    for question in questions:
        wanted = [question.expected_of_another, question.case.expected, question.case.expected]
        yield question, wanted, ask(question.among_others)


def _wasm(bridge: PolicyBridge, name: str) -> Ask:
    assert isinstance(bridge.engine, WasmEngine)
    pool, path = bridge.engine._pool, entrypoint(bridge, name)
    return lambda text: pool.evaluate(path, text)


def _http(deciders: Deciders, bridge: PolicyBridge, name: str) -> Ask:
    url = entrypoint_url(bridge, name)

    def ask(text: bytes) -> object:
        answer = deciders.http.post(url, data=b'{"input":' + text + b"}", timeout=60)
        return answer.json().get("result", f"status {answer.status_code} without a result")

    return ask


def entrypoint(bridge: PolicyBridge, name: str) -> str:
    """The path of one of the public entrypoints."""
    return next(path for path in entrypoints(bridge.engine.rule_set) if path.endswith(f"/{name}"))


def entrypoint_url(bridge: PolicyBridge, name: str) -> str:
    """The address of one of the public entrypoints."""
    assert isinstance(bridge.engine, OpaEngine)
    return f"{bridge.engine.opa.url}/v1/data/{entrypoint(bridge, name)}"


def _ways() -> Iterator[QueryMethod]:
    for engine, keeps in (("reference", is_pushable), ("wasm", is_pushable), ("opa", _anything)):
        for ask in (check, check_of_objects, check_many, explain):
            yield QueryMethod(engine, ask, lambda question, keeps=keeps: question.is_for_check and keeps(question))
        yield QueryMethod(engine, batch, lambda question, keeps=keeps: question.case.input is None and keeps(question))
    yield QueryMethod("reference", definition, _anything, fills_store=False)
    yield QueryMethod("wasm", decision_of_wasm, is_nothing_stored)
    yield QueryMethod("wasm", allow_of_wasm, is_nothing_stored)
    yield QueryMethod("wasm", decisions_of_wasm, lambda question: question.has_item and is_nothing_stored(question))
    yield QueryMethod("opa", decision_over_http, _anything)
    yield QueryMethod("opa", allow_over_http, _anything)
    yield QueryMethod("opa", decisions_over_http, lambda question: question.has_item)


def _anything(_: CaseQuery) -> bool:
    return True


QUERY_METHODS: Final = tuple(_ways())
