"""What the vectors are asked of: an engine with its rules, and what it can be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from bridge import reference
from bridge.conformance.case_queries import is_nothing_stored, is_pushable, is_resource
from bridge.conformance.strategies import ENTRYPOINTS, by_entrypoints, in_batches
from bridge.store import layout
from bridge.strict_json import MAX_DEPTH, encode, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bridge.conformance.case_queries import Query
    from bridge.conformance.strategies import Outcome
    from bridge.conformance.vectors import Stored
    from bridge.engines import Engine, OpaEngine, ReferenceEngine, WasmEngine
    from bridge.policy import PolicySettings
    from bridge.strict_json import Value

STORES_NOTHING: Final = "they ask for stored resources, and nothing is stored there"
STORES_RESOURCES_ONLY: Final = "they ask for what no push would store"

_BATCH_DEPTH: Final = MAX_DEPTH + 4  # a resource in an array in the input


class Target(Protocol):
    """An engine with the rules of one settings, as something to be asked."""

    def left_out(self, question: Query) -> str | None:
        """Why a question cannot be asked of it, as the end of a sentence about several; None where it can."""
        ...

    def ask(self, stored: Stored, questions: Sequence[Query]) -> Iterator[Outcome]:
        """The answers to questions that are not left out, in every way there is.

        Args:
            stored: What is to be stored meanwhile, and nothing else.
            questions: The questions.

        Raises:
            EngineError: The engine failed, for reasons that no question can have.
        """
        ...


TargetFactory: TypeAlias = "Callable[[PolicySettings], Target | str]"
"""Gives what is asked the cases of these settings, or why there is nothing to ask, as the end of a sentence."""


class ReferenceTarget:
    """The reference, which can be asked everything."""

    def __init__(self, engine: ReferenceEngine) -> None:
        self._engine = engine

    def left_out(self, question: Query) -> str | None:  # noqa: ARG002 - as the protocol has it
        """Nothing is."""
        return None

    def ask(self, stored: Stored, questions: Sequence[Query]) -> Iterator[Outcome]:
        """By the definition, and by the engine where it can hold what is stored."""
        values: dict[str, dict[str, Value]] = {}
        for (type_, id_), text in stored.items():
            if text is not None:
                values.setdefault(type_, {})[id_] = parse(text)
        settings = self._engine.rule_set.policy

        def query(_: str, text: bytes) -> object:
            return reference.decide(parse(text, max_depth=_BATCH_DEPTH), settings, values).as_dict()

        yield from by_entrypoints(query, questions, ("decision",))
        if _pushed(self._engine, stored):
            yield from in_batches(self._engine.decide, questions, self._engine.batch_bytes)


class WasmTarget:
    """The Wasm build; what is stored is in its engine, which takes resources only."""

    def __init__(self, engine: WasmEngine) -> None:
        self._engine = engine

    def left_out(self, question: Query) -> str | None:
        """What asks for something that is no resource."""
        return None if is_pushable(question) else STORES_RESOURCES_ONLY

    def ask(self, stored: Stored, questions: Sequence[Query]) -> Iterator[Outcome]:
        """By the entrypoints where nothing is stored, and by the engine."""
        without = [question for question in questions if is_nothing_stored(question)]
        yield from by_entrypoints(self._engine.query, without, ENTRYPOINTS)
        _pushed(self._engine, stored)
        yield from in_batches(self._engine.decide, questions, self._engine.batch_bytes)


class OpaTarget:
    """Rules on an OPA server.

    Args:
        engine: The server and its rule set.
        writes: Whether its data root is ours to write.
    """

    def __init__(self, engine: OpaEngine, *, writes: bool) -> None:
        self._engine = engine
        self._writes = writes
        # Rules that verify tokens take claims in one form only, which is the bridge's own.
        self._entrypoints = ENTRYPOINTS if engine.rule_set.token is None else ()

    def left_out(self, question: Query) -> str | None:
        """All that asks by id where the data root is not ours, and whole inputs where claims are not taken."""
        if not self._writes and question.request.id is not None:
            return STORES_NOTHING
        if not self._entrypoints and question.case.input is not None:
            return "they are no questions, and rules that verify tokens are asked questions only"
        return None

    def ask(self, stored: Stored, questions: Sequence[Query]) -> Iterator[Outcome]:
        """By the entrypoints, and by the engine."""
        if self._writes and not _pushed(self._engine, stored):
            self._put(stored)
        yield from by_entrypoints(self._engine.query, questions, self._entrypoints)
        yield from in_batches(self._engine.decide, questions, self._engine.batch_bytes)

    def _put(self, stored: Stored) -> None:
        """Write what no push would: behind the store's back, for it is the rules' answer that counts here."""
        types: dict[str, dict[bytes, bytes]] = {type_: {} for type_ in self._engine.rule_set.policy.types}
        for (type_, id_), text in stored.items():
            if text is not None:
                types.setdefault(type_, {})[encode(id_)] = text
        documents = {type_: layout.document(texts) for type_, texts in types.items()}
        self._engine.opa.put_data(self._engine.rule_set.data_root.split("."), _object(documents))


def _pushed(engine: Engine, stored: Stored) -> bool:
    """Store these in place of all there is; gives False, and stores nothing, where one is none to be pushed."""
    types = engine.rule_set.policy.types
    resources: dict[str, dict[bytes, bytes]] = {type_: {} for type_ in types}
    for (type_, id_), text in stored.items():
        if text is None:
            continue
        if not is_resource(types, type_, id_, text):
            return False
        resources[type_][encode(id_)] = text
    for type_, texts in resources.items():
        engine.store.replace(type_, texts)
    return True


def _object(texts: dict[str, bytes]) -> bytes:
    return b"{" + b",".join(encode(name) + b":" + text for name, text in texts.items()) + b"}"
