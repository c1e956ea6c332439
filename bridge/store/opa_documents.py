"""What lies in an OPA's data below the data root, as `layout` says: how it is read, and how a patch is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.errors import (
    EngineError,
    ForeignContentError,
    InvalidResponseError,
    OpaStatusError,
    PushRejectedError,
    UsageError,
)
from bridge.escapes import shown
from bridge.store.single_store import SingleStore, store_of
from bridge.store.state import TypeState, foreign, reference
from bridge.store.store import next_revision
from bridge.strict_json import ABSENT, Absent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bridge.opa import OpaClient
    from bridge.store.json_patch import Patch
    from bridge.strict_json import Value

# What a large body may take longer than the deadline that is meant for a query.
_BYTES_A_SECOND: Final = 2_000_000
_LISTING_SECONDS: Final = 60.0
_CONFLICT: Final = "resource_conflict"


class Documents:
    """The documents of the resource types on one OPA.

    Args:
        opa: The server.
        root: The data root, as names.
        types: The resource types.
        note: Told each store that an answer names, by type, as `current` of the rules' answers has them; may raise
            `MultipleStoresError`.
    """

    def __init__(
        self,
        opa: OpaClient,
        root: tuple[str, ...],
        types: Sequence[str],
        note: Callable[[Mapping[str, Value]], None] = lambda _: None,
    ) -> None:
        self.opa = opa
        self._root = root
        self._types = tuple(types)
        self._note = note
        self._revisions: dict[str, str] = {}
        self._operation: SingleStore | None = None

    def operation(self) -> Documents:
        """The same documents for one operation, whose answers must all come from one store."""
        if self._operation is not None:
            return self
        found = Documents(self.opa, self._root, self._types, self._note)
        found._revisions = self._revisions
        found._operation = SingleStore(found._store)
        return found

    @property
    def one_store(self) -> SingleStore:
        """What the answers of this operation have named."""
        assert self._operation is not None, "no operation has begun"
        return self._operation

    def path(self, type_: str) -> tuple[str, ...]:
        """The names of a type's document from the root down.

        Raises:
            UsageError: It is not one of the types.
        """
        if type_ not in self._types:
            raise UsageError(f"`{shown(type_)}` is not one of the resource types")
        return (*self._root, type_)

    def look(self, type_: str, *, fresh: bool = False) -> TypeState | None:
        """The state of a type; None where nothing was ever pushed.

        Args:
            type_: The resource type.
            fresh: Look on a new connection.

        Raises:
            UnsupportedLayoutError: It is of a later layout.
            MultipleStoresError: Several OPAs have answered, now and earlier.
            ForeignContentError: No bridge wrote it.
            EngineError: OPA cannot be reached, or refuses.
        """
        state = self._look(type_, fresh=fresh)
        if self._operation is not None:
            self._operation.saw(type_, None if state is None else state.store)
        return state

    def agreed(self, type_: str) -> TypeState | None:
        """The state of a type, before an operation writes it: two fresh connections must find one store of each type.

        Raises:
            MultipleStoresError: They find several.
            EngineError: As for `look`.
        """
        if self.one_store.has_agreed(type_):
            return self.look(type_, fresh=True)
        self.agree_on_all(but=type_)
        first, state = self._look(type_, fresh=True), self._look(type_, fresh=True)
        self.one_store.agree(type_, (None if first is None else first.store, None if state is None else state.store))
        return state

    def agree_on_all(self, *, but: str | None = None) -> None:
        """Make sure that two fresh connections find the same stores, of all types but perhaps one.

        Raises:
            MultipleStoresError: They find several.
            EngineError: OPA cannot be reached.
        """
        for type_ in self._types:
            if type_ != but and not self.one_store.has_agreed(type_):
                try:
                    found = self._store(type_), self._store(type_)
                except OpaStatusError:  # whoever may write one type need not be allowed to read another
                    continue
                self.one_store.agree(type_, found)

    def _look(self, type_: str, *, fresh: bool) -> TypeState | None:
        found = self.opa.get_data((*self.path(type_), "state"), fresh=fresh)
        try:
            state = None if found is ABSENT else TypeState.read(type_, found)
        except InvalidResponseError:
            raise foreign(self.path(type_)) from None
        if state is not None and state.current is not None:  # else the rules name none either
            self._note({type_: {"store": state.store}})
        return state

    def _store(self, type_: str) -> str | None:
        """The name of a type's store, whatever its layout, as a fresh connection finds it."""
        return store_of(self.opa.get_data((*self.path(type_), "state"), fresh=True))

    def get(self, path: tuple[str, ...]) -> Value | Absent:
        """A document that may be large, or `ABSENT`."""
        return self.opa.get_data(path, deadline=self.opa.deadline + _LISTING_SECONDS)

    def shard(self, path: tuple[str, ...]) -> dict[str, Value]:
        """The resources of a shard, by id.

        Raises:
            InvalidResponseError: It is none, or is there no more.
        """
        found: dict[str, Value] = {}
        for bucket in _object(self.get(path), path).values():
            found |= _object(bucket, path)
        return found

    def text(self, path: tuple[str, ...]) -> str:
        """The JSON text of a large document, as OPA writes it.

        Raises:
            InvalidResponseError: There is none.
        """
        found = self.opa.get_data_text(path, deadline=self.opa.deadline + _LISTING_SECONDS)
        if isinstance(found, Absent):
            raise InvalidResponseError(f"OPA has no `{path[-1]}` there")
        return found

    def create(self, type_: str, document: bytes) -> bool:
        """Make a type's document where there is none; gives whether it was made.

        Raises:
            ForeignContentError: What lies above it is no object.
            EngineError: OPA cannot be reached, or refuses.
        """
        path = self.path(type_)
        try:
            return self.opa.create_data(path, document)
        except OpaStatusError as refused:
            if refused.opa_code == _CONFLICT:
                for length in range(1, len(path)):
                    if self.opa.kind(path[:length]) not in (None, "object"):
                        raise foreign(path[:length]) from None
            raise

    def refuse_rules(self, type_: str) -> None:
        """Refuse a data root that is a package of rules; who may not list the policies is not kept from pushing.

        Raises:
            ForeignContentError: It is one.
            EngineError: OPA cannot be reached.
        """
        root = self.path(type_)[:-1]
        try:
            policies = self.opa.list_policies()
        except OpaStatusError:
            return
        if ids := tuple(policy.id for policy in policies if policy.package[: len(root)] == root):
            raise ForeignContentError(
                f"`{reference(root)}` is a package of rules (`{shown(ids[0])}`), where no resources may lie: nothing "
                "was pushed; choose another data root",
                ids,
            )

    def send(self, path: tuple[str, ...], patch: Patch) -> None:
        """Change a type's document: all of the operations are done, or none."""
        body = patch.body()
        self.opa.patch_data(path, body, deadline=self.opa.deadline + len(body) / _BYTES_A_SECOND)

    def next_revision(self, type_: str, current: str | None) -> str:
        """A revision after the current one, and after all that were made or seen here, whatever OPA has lost since."""
        last = max(filter(None, (current, self._revisions.get(type_))), key=int, default=None)
        return next_revision(last)

    def note(self, type_: str, revision: str) -> None:
        """Remember a revision that was made."""
        self._revisions[type_] = revision

    def share_revisions(self, other: Documents) -> None:
        """Remember the same revisions as another one."""
        self._revisions = other._revisions

    def is_current(self, type_: str, revision: str, generation: str) -> bool:
        """Whether what was sent took place, though its answer never came; others may have made that revision too."""
        try:
            state = self.look(type_)
        except EngineError:
            return False
        found = None if state is None else state.current
        return found is not None and (found.revision, found.generation) == (revision, generation)


def _object(found: Value | Absent, path: tuple[str, ...]) -> dict[str, Value]:
    """A shard or a bucket of it."""
    if not isinstance(found, dict):
        raise InvalidResponseError(f"what OPA has as the shard `{path[-1]}` is no object of objects")
    return found


def too_large(done: str, refused: OpaStatusError) -> PushRejectedError:
    """Return the error for what must be sent at once and is larger than OPA, or what stands before it, takes.

    Args:
        done: What was not done, such as `pushed`.
        refused: The answer.
    """
    return PushRejectedError(
        f"nothing was {done}: what must be sent at once is more than OPA takes, or a proxy before it (it answered"
        f" {refused.status}): raise its limit (OPA's is `server.decoding.max_length`), change fewer resources at once,"
        " or make them smaller"
    )
