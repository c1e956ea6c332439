"""The targets of the vectors: an engine with its rules, and which queries it can answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol, TypeAlias

from bridge import reference
from bridge.conformance.case_queries import (
    ENTRYPOINTS,
    CaseOutcome,
    CaseQuery,
    by_entrypoints,
    in_batches,
    is_nothing_stored,
    is_pushable,
    is_resource,
)
from bridge.conformance.vectors import Stored
from bridge.engines import Engine, OpaEngine, ReferenceEngine, WasmEngine
from bridge.policy import PolicySettings
from bridge.store import layout
from bridge.strict_json import MAX_DEPTH, Value, encode, parse

STORES_NOTHING: Final = "they ask for stored resources, and nothing is stored there"
STORES_RESOURCES_ONLY: Final = "they ask for what no push would store"

_BATCH_DEPTH: Final = MAX_DEPTH + 4  # a resource in an array in the input


class Target(Protocol):
    """An engine with the rules of given settings, as a target of queries."""

    def left_out(self, query: CaseQuery) -> str | None:
        """Return why the target cannot answer a query, as the end of a sentence about several; None if it can."""
        ...

    def ask(self, stored: Stored, queries: Sequence[CaseQuery]) -> Iterator[CaseOutcome]:
        """Send queries that are not left out, by every strategy, and yield the answers.

        Args:
            stored: The resources to store during the queries, and no others.
            queries: The queries.

        Raises:
            EngineError: The engine failed, for a reason that no query can have.
        """
        ...


TargetFactory: TypeAlias = Callable[[PolicySettings], Target | str]
"""Returns the target for the cases of given settings, or why there is none, as the end of a sentence."""


class ReferenceTarget:
    """The reference, which can answer every query."""

    def __init__(self, engine: ReferenceEngine) -> None:
        self._engine = engine

    def left_out(self, query: CaseQuery) -> str | None:  # noqa: ARG002 - as the protocol has it
        """Leave out nothing."""
        return None

    def ask(self, stored: Stored, queries: Sequence[CaseQuery]) -> Iterator[CaseOutcome]:
        """Ask the definition, and also the engine if it can store the resources."""
        values: dict[str, dict[str, Value]] = {}
        for (type_, id_), text in stored.items():
            if text is not None:
                values.setdefault(type_, {})[id_] = parse(text)
        settings = self._engine.rule_set.policy

        def query(_: str, text: bytes) -> object:
            return reference.decide(parse(text, max_depth=_BATCH_DEPTH), settings, values).as_dict()

        yield from by_entrypoints(query, queries, ("decision",))
        if _pushed(self._engine, stored):
            yield from in_batches(self._engine.decide, queries, self._engine.batch_bytes)


class WasmTarget:
    """The Wasm build; its engine stores the resources, and takes nothing else."""

    def __init__(self, engine: WasmEngine) -> None:
        self._engine = engine

    def left_out(self, query: CaseQuery) -> str | None:
        """Leave out queries for something that is not a resource."""
        return None if is_pushable(query) else STORES_RESOURCES_ONLY

    def ask(self, stored: Stored, queries: Sequence[CaseQuery]) -> Iterator[CaseOutcome]:
        """Ask the entrypoints if nothing is stored, and the engine."""
        without = [query for query in queries if is_nothing_stored(query)]
        yield from by_entrypoints(self._engine.query, without, ENTRYPOINTS)
        _pushed(self._engine, stored)
        yield from in_batches(self._engine.decide, queries, self._engine.batch_bytes)


class OpaTarget:
    """Rules on an OPA server.

    Args:
        engine: The server and its rule set.
        writes: Whether the target may write below the data root.
    """

    def __init__(self, engine: OpaEngine, *, writes: bool) -> None:
        self._engine = engine
        self._writes = writes
        # Rules that verify tokens take claims in one form only, that of the bridge.
        self._entrypoints = ENTRYPOINTS if engine.rule_set.token is None else ()

    def left_out(self, query: CaseQuery) -> str | None:
        """Leave out queries by id if nothing may be written, and whole inputs if the rules take no claims."""
        if not self._writes and query.request.id is not None:
            return STORES_NOTHING
        if not self._entrypoints and query.case.input is not None:
            return "their input is not a request, and rules that verify tokens take only requests"
        return None

    def ask(self, stored: Stored, queries: Sequence[CaseQuery]) -> Iterator[CaseOutcome]:
        """Ask the entrypoints and the engine."""
        if self._writes and not _pushed(self._engine, stored):
            self._put(stored)
        yield from by_entrypoints(self._engine.query, queries, self._entrypoints)
        yield from in_batches(self._engine.decide, queries, self._engine.batch_bytes)

    def _put(self, stored: Stored) -> None:
        """Write what no push would, past the store, because only the answer of the rules counts here."""
        types: dict[str, dict[bytes, bytes]] = {type_: {} for type_ in self._engine.rule_set.policy.types}
        for (type_, id_), text in stored.items():
            if text is not None:
                types.setdefault(type_, {})[encode(id_)] = text
        documents = {type_: layout.document(texts) for type_, texts in types.items()}
        self._engine.opa.put_data(self._engine.rule_set.data_root.split("."), _object(documents))


def _pushed(engine: Engine, stored: Stored) -> bool:
    """Replace all stored resources; store nothing and return False if one of them cannot be pushed."""
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
