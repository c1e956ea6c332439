"""Change some resources on an OPA: each change is one patch with the resources and their part of the index.

See docs/decisions/resources-in-generations.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Final, Protocol

from bridge.errors import (
    EngineError,
    InvalidResponseError,
    OpaStatusError,
    PushConflictError,
    PushRejectedError,
    ResourcesMissingError,
    UsageError,
)
from bridge.opa import is_too_large
from bridge.store.index_change import FirstsMissingError, IndexChange
from bridge.store.opa_documents import Documents, too_large
from bridge.store.patches import Patch, add, remove
from bridge.store.single_store import written_elsewhere
from bridge.store.state import CurrentGeneration, current
from bridge.store.store import ChangeReport, PreparedResources, prepare
from bridge.strict_json import ABSENT, Value, encode

_TRIES: Final = 5
_MOST_OPERATIONS: Final = 1_000


class ReadView(Protocol):
    """Queries the `stored_view` of the installed rules."""

    def __call__(self, query: bytes, /, *, fresh: bool) -> dict[str, Value]:
        """Return the response to a query, on a new connection or on any."""


class Changes:
    """Changes some resources of a type.

    Args:
        documents: The documents to write, within one operation.
        read_view: Queries the installed rules; without it, nothing can be changed.
    """

    def __init__(self, documents: Documents, read_view: ReadView | None) -> None:
        self._documents = documents
        self._read_view = read_view

    def change(self, type_: str, upserts: Mapping[bytes, bytes], removals: Iterable[bytes]) -> ChangeReport:
        """Do what `OpaStore.change` says; a change is one transaction, and is never sent in halves."""
        try:
            return self._change(type_, upserts, removals)
        except OpaStatusError as refused:
            if not is_too_large(refused):
                raise
            raise too_large("changed", refused) from None

    def _change(self, type_: str, upserts: Mapping[bytes, bytes], removals: Iterable[bytes]) -> ChangeReport:
        path = self._documents.path(type_)
        prepared = prepare(upserts)
        change = IndexChange(prepared, [id_ for id_ in dict.fromkeys(removals) if id_ not in prepared])
        seen = set()
        for number in range(_TRIES):
            about, view = self._view(type_, change.query(type_), again=number > 0)
            seen.add(about.revision)
            built = self._build(path, about, view, change)
            if built is None:
                continue
            patch, report, more = built
            if not patch:
                return replace(report, revision=about.revision)
            if len(patch) > _MOST_OPERATIONS:
                raise PushRejectedError(
                    f"nothing was changed: {len(prepared) + len(change.removals):,} resources at once take "
                    f"{len(patch):,} operations, more than {_MOST_OPERATIONS:,}; change fewer at once, or sync"
                )
            revision = self._documents.next_revision(type_, about.revision)
            head = [
                remove("state", "revisions", f"r{about.revision}"),
                add("state", "revisions", f"r{revision}", value=b"true"),
                add(
                    "state",
                    "current",
                    value=current(revision, about.generation, about.store, about.count + more),
                ),
            ]
            try:
                self._documents.send(path, Patch(head + patch.below("generations", about.generation)))
            except OpaStatusError as refused:
                if refused.status != HTTPStatus.NOT_FOUND:
                    raise
                continue  # another process came first: read again
            except EngineError:
                if not self._documents.is_current(type_, revision, about.generation):
                    raise
            self._documents.note(type_, revision)
            return replace(report, revision=revision)
        if len(seen) == 1:
            self._require_written(type_, about)
        raise PushConflictError(f"others changed `{type_}` {_TRIES} times in between: nothing was changed; try again")

    def _view(self, type_: str, query: bytes, *, again: bool) -> tuple[CurrentGeneration, Value]:
        """Read the current generation and the view of a query; before the first write, on two new connections."""
        if self._read_view is None:
            raise UsageError("this store has no rules, which a change needs: push all, or use `OpaEngine.store`")
        has_agreed = self._documents.one_store.has_agreed(type_)
        if not has_agreed:
            self._current(type_, self._read_view(_empty_query(type_), fresh=True))
        response = self._read_view(query, fresh=again or not has_agreed)
        generation = self._current(type_, response)
        self._documents.one_store.agree(type_, (generation.store, generation.store))
        return generation, response.get("view")

    def _current(self, type_: str, response: dict[str, Value]) -> CurrentGeneration:
        """Return the current generation of a type, as a response names it."""
        value = response.get("current")
        by_type = value if isinstance(value, dict) else {}
        self._documents.one_store.saw_all(by_type)
        generation = by_type.get(type_)
        if not isinstance(generation, dict) or "revision" not in generation:
            self._documents.agreed(type_)  # raises for a later layout, and if another OPA has the resources
            raise ResourcesMissingError(
                f"OPA has no pushed resources of `{type_}`: push all of them before you change some"
            )
        return CurrentGeneration.read(generation)

    def _require_written(self, type_: str, about: CurrentGeneration) -> None:
        """Find out why patches fail although nobody has changed anything.

        Raises:
            MultipleStoresError: Another OPA takes the writes.
            InvalidResponseError: It is one OPA, so the stored data is damaged.
        """
        self._documents.one_store.doubt(type_)
        name = f"r{about.revision}"
        no_change = Patch([remove("state", "revisions", name), add("state", "revisions", name, value=b"true")])
        try:
            self._documents.send(self._documents.path(type_), no_change)
        except OpaStatusError as refused:
            if refused.status != HTTPStatus.NOT_FOUND:
                raise
            state = self._documents.look(type_, fresh=True)
            assert state is not None, "`look` has raised"
            if state.revision == about.revision:
                raise written_elsewhere(type_) from None
            return
        raise InvalidResponseError(
            f"the resources of `{type_}` in OPA are damaged and cannot be changed: push all of them again"
        )

    def _build(
        self, path: tuple[str, ...], about: CurrentGeneration, view: Value, change: IndexChange
    ) -> tuple[Patch, ChangeReport, int] | None:
        """Return the result of `change.patch`; None if its generation is no longer there."""
        try:
            return change.patch(view, {})
        except FirstsMissingError as missing:
            firsts = {}
            for name in missing.names:
                blocks = self._documents.opa.get_data((*path, "generations", about.generation, "large", name, "firsts"))
                if blocks is ABSENT:
                    return None
                if not isinstance(blocks, list) or not all(isinstance(block, list) for block in blocks):
                    raise InvalidResponseError(
                        "the first ids of pages in OPA are not arrays of ids: push all resources again"
                    ) from None
                firsts[name] = [encode(id_) for block in blocks if isinstance(block, list) for id_ in block]
            return change.patch(view, firsts)


def _empty_query(type_: str) -> bytes:
    """Return the query about no change; its response names the current generation."""
    return IndexChange(PreparedResources(), ()).query(type_)
