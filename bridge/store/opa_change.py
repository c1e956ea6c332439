"""Changes of some resources on an OPA, each of them one patch with all that the index has of them.

See docs/decisions/resources-in-generations.md.
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

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
from bridge.store.json_patch import Patch, add, remove
from bridge.store.opa_documents import too_large
from bridge.store.prepared import PreparedResources, prepare
from bridge.store.single_store import written_elsewhere
from bridge.store.state import CurrentGeneration, current
from bridge.strict_json import ABSENT, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bridge.store.opa_documents import Documents
    from bridge.store.store import ChangeReport
    from bridge.strict_json import Value

_TRIES: Final = 5
_MOST_OPERATIONS: Final = 1_000


class ReadView(Protocol):
    """Asks the installed rules for their `stored_view`."""

    def __call__(self, question: bytes, *, fresh: bool) -> dict[str, Value]:
        """Their answer to a question, on a new connection or on any."""


class Changes:
    """Changes some resources of a type.

    Args:
        documents: Where to, within one operation.
        read_view: Asks the installed rules; without it, nothing can be changed.
    """

    def __init__(self, documents: Documents, read_view: ReadView | None) -> None:
        self._documents = documents
        self._read_view = read_view

    def change(self, type_: str, upserts: Mapping[bytes, bytes], removals: Iterable[bytes]) -> ChangeReport:
        """As `OpaStore.change`; what is one transaction is never sent in halves."""
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
            about, view = self._view(type_, change.question(type_), again=number > 0)
            seen.add(about.revision)
            worked_out = self._worked_out(path, about, view, change)
            if worked_out is None:
                continue
            patch, changed, more = worked_out
            if not patch:
                return replace(changed, revision=about.revision)
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
                continue  # somebody else came first: look again
            except EngineError:
                if not self._documents.is_current(type_, revision, about.generation):
                    raise
            self._documents.note(type_, revision)
            return replace(changed, revision=revision)
        if len(seen) == 1:
            self._require_written(type_, about)
        raise PushConflictError(f"others changed `{type_}` {_TRIES} times in between: nothing was changed")

    def _view(self, type_: str, question: bytes, *, again: bool) -> tuple[CurrentGeneration, Value]:
        """What is current, and what must be known of it; before the first write two new connections are asked."""
        if self._read_view is None:
            raise UsageError("a store without rules cannot be changed but as a whole")
        is_known = self._documents.one_store.has_agreed(type_)
        if not is_known:
            self._known(type_, self._read_view(_nothing(type_), fresh=True))
        found = self._read_view(question, fresh=again or not is_known)
        known = self._known(type_, found)
        self._documents.one_store.agree(type_, (known.store, known.store))
        return known, found.get("view")

    def _known(self, type_: str, found: dict[str, Value]) -> CurrentGeneration:
        """What is current of a type."""
        about = found.get("current")
        current = about if isinstance(about, dict) else {}
        self._documents.one_store.saw_all(current)
        known = current.get(type_)
        if not isinstance(known, dict) or "revision" not in known:
            self._documents.agreed(type_)  # it may be of a later layout, or there for another connection
            raise ResourcesMissingError(
                f"OPA has no pushed resources of `{type_}`: push all of them, before some can change"
            )
        return CurrentGeneration.read(known)

    def _require_written(self, type_: str, about: CurrentGeneration) -> None:
        """Make sure that what is read is what is written, where patches fail and nobody has changed anything.

        Raises:
            MultipleStoresError: It is not.
            InvalidResponseError: It is; so what was pushed is not whole.
        """
        self._documents.one_store.doubt(type_)
        name = f"r{about.revision}"
        as_it_is = Patch([remove("state", "revisions", name), add("state", "revisions", name, value=b"true")])
        try:
            self._documents.send(self._documents.path(type_), as_it_is)
        except OpaStatusError as refused:
            if refused.status != HTTPStatus.NOT_FOUND:
                raise
            state = self._documents.look(type_, fresh=True)
            assert state is not None, "or `look` has raised"
            if state.revision == about.revision:
                raise written_elsewhere(type_) from None
            return
        raise InvalidResponseError(
            f"what OPA has of `{type_}` is not whole, and cannot be changed: push all of it again"
        )

    def _worked_out(
        self, path: tuple[str, ...], about: CurrentGeneration, view: Value, change: IndexChange
    ) -> tuple[Patch, ChangeReport, int] | None:
        """What `change.patch` gives; None where its generation is there no more."""
        try:
            return change.patch(view, {})
        except FirstsMissingError as missing:
            firsts = {}
            for name in missing.names:
                found = self._documents.opa.get_data((*path, "generations", about.generation, "large", name, "firsts"))
                if found is ABSENT:
                    return None
                if not isinstance(found, list) or not all(isinstance(block, list) for block in found):
                    raise InvalidResponseError("what OPA has as the first ids of pages are no arrays of them") from None
                firsts[name] = [encode(id_) for block in found if isinstance(block, list) for id_ in block]
            return change.patch(view, firsts)


def _nothing(type_: str) -> bytes:
    """The question about no change: its answer is what is current."""
    return IndexChange(PreparedResources(), ()).question(type_)
