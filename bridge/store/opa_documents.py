"""The documents below the data root of an OPA, in the form of `layout`: read them, and send patches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bridge.errors import (
    EngineError,
    ForeignContentError,
    InvalidResponseError,
    OpaStatusError,
    PushRejectedError,
    UsageError,
)
from bridge.escapes import shown
from bridge.opa import OpaClient
from bridge.store.patches import Patch
from bridge.store.single_store import SingleStore, store_of
from bridge.store.state import TypeState, foreign, reference
from bridge.store.store import next_revision
from bridge.strict_json import ABSENT, Absent, Value

# The time that a large body may take on top of the deadline, which is meant for a query.
_BYTES_A_SECOND: Final = 2_000_000
_LISTING_SECONDS: Final = 60.0
_CONFLICT: Final = "resource_conflict"


class Documents:
    """The documents of the resource types on one OPA.

    Args:
        opa: The server.
        root: The data root, as names.
        types: The resource types.
        note: Called with each store that a response names, by type, in the form of the rules' `current`; may raise
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
        """Return the same documents for one operation, whose responses must all come from one store."""
        if self._operation is not None:
            return self
        documents = Documents(self.opa, self._root, self._types, self._note)
        documents._revisions = self._revisions
        documents._operation = SingleStore(documents._store)
        return documents

    @property
    def one_store(self) -> SingleStore:
        """Return the stores that the responses of this operation have named."""
        assert self._operation is not None, "no operation has begun"
        return self._operation

    def path(self, type_: str) -> tuple[str, ...]:
        """Return the path of a type's document, from the root down.

        Raises:
            UsageError: It is not one of the types.
        """
        if type_ not in self._types:
            raise UsageError(f"`{shown(type_)}` is not one of the resource types: {', '.join(map(shown, self._types))}")
        return (*self._root, type_)

    def look(self, type_: str, *, fresh: bool = False) -> TypeState | None:
        """Read the state of a type; None if nothing was ever pushed.

        Args:
            type_: The resource type.
            fresh: Read on a new connection.

        Raises:
            UnsupportedLayoutError: It has a later layout.
            MultipleStoresError: Several OPAs have answered, now and earlier.
            ForeignContentError: No bridge wrote it.
            EngineError: OPA cannot be reached, or refuses.
        """
        state = self._look(type_, fresh=fresh)
        if self._operation is not None:
            self._operation.saw(type_, None if state is None else state.store)
        return state

    def agreed(self, type_: str) -> TypeState | None:
        """Read the state of a type before an operation writes it; two new connections must find one store of each type.

        Raises:
            MultipleStoresError: They find several.
            EngineError: As for `look`.
        """
        if self.one_store.has_agreed(type_):
            return self.look(type_, fresh=True)
        self.agree_on_all(skip=type_)
        first, state = self._look(type_, fresh=True), self._look(type_, fresh=True)
        self.one_store.agree(type_, (None if first is None else first.store, None if state is None else state.store))
        return state

    def agree_on_all(self, *, skip: str | None = None) -> None:
        """Make sure that two new connections find the same stores of all types, except perhaps one.

        Raises:
            MultipleStoresError: They find several.
            EngineError: OPA cannot be reached.
        """
        for type_ in self._types:
            if type_ != skip and not self.one_store.has_agreed(type_):
                try:
                    stores = self._store(type_), self._store(type_)
                except OpaStatusError:  # permission to write one type need not include reading another
                    continue
                self.one_store.agree(type_, stores)

    def _look(self, type_: str, *, fresh: bool) -> TypeState | None:
        document = self.opa.get_data((*self.path(type_), "state"), fresh=fresh)
        try:
            state = None if document is ABSENT else TypeState.read(type_, document)
        except InvalidResponseError:
            raise foreign(self.path(type_)) from None
        if state is not None and state.current is not None:  # without a current generation the rules name no store
            self._note({type_: {"store": state.store}})
        return state

    def _store(self, type_: str) -> str | None:
        """Read the name of a type's store, in any layout, on a new connection."""
        return store_of(self.opa.get_data((*self.path(type_), "state"), fresh=True))

    def get(self, path: tuple[str, ...]) -> Value | Absent:
        """Read a document that may be large; `ABSENT` if there is none."""
        return self.opa.get_data(path, deadline=self.opa.deadline + _LISTING_SECONDS)

    def shard(self, path: tuple[str, ...]) -> dict[str, Value]:
        """Read the resources of a shard, by id.

        Raises:
            InvalidResponseError: It is no shard, or is no longer there.
        """
        resources: dict[str, Value] = {}
        for bucket in _object(self.get(path), path).values():
            resources |= _object(bucket, path)
        return resources

    def text(self, path: tuple[str, ...]) -> str:
        """Read the JSON text of a large document, as OPA writes it.

        Raises:
            InvalidResponseError: There is none.
        """
        text = self.opa.get_data_text(path, deadline=self.opa.deadline + _LISTING_SECONDS)
        if isinstance(text, Absent):
            raise InvalidResponseError(f"OPA has no `{path[-1]}` there: push all resources again")
        return text

    def create(self, type_: str, document: bytes) -> bool:
        """Create a type's document if there is none, and return whether it was created.

        Raises:
            ForeignContentError: A document above it is no object.
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
        """Refuse a data root that is a package of rules, if this client may list the policies.

        Raises:
            ForeignContentError: It is a package of rules.
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
        """Send a patch of a type's document: OPA does all of its operations, or none."""
        body = patch.body()
        self.opa.patch_data(path, body, deadline=self.opa.deadline + len(body) / _BYTES_A_SECOND)

    def next_revision(self, type_: str, current: str | None) -> str:
        """Return a revision after the current one and after all that this process made, even if OPA has lost them."""
        last = max(filter(None, (current, self._revisions.get(type_))), key=int, default=None)
        return next_revision(last)

    def note(self, type_: str, revision: str) -> None:
        """Remember a revision that this process made."""
        self._revisions[type_] = revision

    def share_revisions(self, other: Documents) -> None:
        """Share the remembered revisions with another instance."""
        self._revisions = other._revisions

    def is_current(self, type_: str, revision: str, generation: str) -> bool:
        """Tell whether a write whose response was lost was done; others may have made the same revision."""
        try:
            state = self.look(type_)
        except EngineError:
            return False
        current = None if state is None else state.current
        return current is not None and (current.revision, current.generation) == (revision, generation)

    def is_unchanged(self, type_: str, state: TypeState, *, fresh: bool = False) -> bool:
        """Tell whether the resources of a type have not changed since their state was read."""
        now = self.look(type_, fresh=fresh)
        return now is not None and (now.store, now.revision) == (state.store, state.revision)


def _object(value: Value | Absent, path: tuple[str, ...]) -> dict[str, Value]:
    """Require that a shard, or a bucket of it, is an object."""
    if not isinstance(value, dict):
        raise InvalidResponseError(
            f"the shard `{path[-1]}` in OPA is not an object of objects: push all resources again"
        )
    return value


def too_large(done: str, refused: OpaStatusError) -> PushRejectedError:
    """Return the error for a write that must be sent at once and is too large for OPA, or for a proxy before it.

    Args:
        done: What was not done, such as `pushed`.
        refused: The response.
    """
    return PushRejectedError(
        f"nothing was {done}: what must be sent at once is too large for OPA, or for a proxy before it (status"
        f" {refused.status}): raise its limit (OPA's is `server.decoding.max_length`), change fewer resources at once,"
        " or make them smaller"
    )
