"""Changes of some resources on an OPA, each of them one patch with all that the index has of them.

See docs/decisions/resources-in-generations.md.
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from bridge.errors import BadAnswer, EngineFault, Misuse, OpaRefused, PushOvertaken, PushRefused, ResourcesLost
from bridge.resources.change import Change, FirstsMissing
from bridge.resources.patch import Patch, add, remove
from bridge.resources.prepared import prepare
from bridge.resources.state import Current, current
from bridge.strict_json import ABSENT, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bridge.resources.opa_documents import Documents
    from bridge.resources.store import Changed
    from bridge.strict_json import Value

_TRIES: Final = 5
_MOST_OPERATIONS: Final = 1_000


class Changes:
    """Changes some resources of a type.

    Args:
        documents: Where to.
        held: Asks the installed rules what they are told by `held`.
    """

    def __init__(self, documents: Documents, held: Callable[[bytes], dict[str, Value]] | None) -> None:
        self._documents = documents
        self._held = held

    def change(self, type_: str, upserts: Mapping[bytes, bytes], removals: Iterable[bytes]) -> Changed:
        """As `OpaStore.change`."""
        path = self._documents.path(type_)
        prepared = prepare(upserts)
        change = Change(prepared, [id_ for id_ in dict.fromkeys(removals) if id_ not in prepared])
        for _ in range(_TRIES):
            about, view = self._view(type_, change.question(type_))
            worked_out = self._worked_out(path, about, view, change)
            if worked_out is None:
                continue
            patch, changed, more = worked_out
            if not patch:
                return replace(changed, revision=about.revision)
            if len(patch) > _MOST_OPERATIONS:
                raise PushRefused(
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
            except OpaRefused as refused:
                if refused.status != HTTPStatus.NOT_FOUND:
                    raise
                continue  # somebody else came first: look again
            except EngineFault:
                if not self._documents.is_current(type_, revision, about.generation):
                    raise
            self._documents.note(type_, revision)
            return replace(changed, revision=revision)
        raise PushOvertaken(f"others changed `{type_}` {_TRIES} times in between: nothing was changed")

    def _view(self, type_: str, question: bytes) -> tuple[Current, Value]:
        if self._held is None:
            raise Misuse("a store without rules cannot be changed but as a whole")
        found = self._held(question)
        about = found["current"]
        known = about.get(type_) if isinstance(about, dict) else None
        if not isinstance(known, dict) or "revision" not in known:
            self._documents.look(type_)  # it may be of a later layout
            raise ResourcesLost(f"OPA has no pushed resources of `{type_}`: push all of them, before some can change")
        return Current.read(known), found.get("view")

    def _worked_out(
        self, path: tuple[str, ...], about: Current, view: Value, change: Change
    ) -> tuple[Patch, Changed, int] | None:
        """What `change.patch` gives; None where its generation is there no more."""
        try:
            return change.patch(view, {})
        except FirstsMissing as missing:
            firsts = {}
            for name in missing.names:
                found = self._documents.opa.get_data((*path, "generations", about.generation, "large", name, "firsts"))
                if found is ABSENT:
                    return None
                if not isinstance(found, list) or not all(isinstance(block, list) for block in found):
                    raise BadAnswer("what OPA has as the first ids of pages are no arrays of them") from None
                firsts[name] = [encode(id_) for block in found if isinstance(block, list) for id_ in block]
            return change.patch(view, firsts)
