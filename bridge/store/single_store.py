"""Check that all responses of one operation come from one OPA: each response names its store.

See docs/decisions/several-opas.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from bridge.errors import EngineError, MultipleStoresError, ResourcesMissingError

_READS: Final = 8
"""The number of further reads if responses differ: it may be several OPAs, or one that was restarted."""


def store_of(state: Any) -> str | None:
    """Return the name of the store in a type's state of any layout; None if it has none."""
    store = state.get("store") if isinstance(state, dict) else None
    return store if isinstance(store, str) and store else None


def several_stores(type_: str, one: str | None, other: str | None) -> MultipleStoresError:
    """Return the error for two different stores; None stands for an OPA without a store of the type."""
    names = " and ".join(f"`{store[:8]}`" if store else "none" for store in (one, other))
    return MultipleStoresError(
        f"several OPAs answer at this address, each with `{type_}` of its own (stores {names}): "
        "give the address of one of them, or feed all of them by one bundle"
    )


def written_elsewhere(type_: str) -> MultipleStoresError:
    """Return the error for writes that one OPA takes while another one is read."""
    return MultipleStoresError(
        f"several OPAs answer at this address: what is written to `{type_}` is not there when it is read again; "
        "give the address of one of them"
    )


class SingleStore:
    """The stores that the responses of one operation have named: each type must have exactly one.

    Args:
        read: Reads the name of a type's store on a new connection; None if it has none.
    """

    def __init__(self, read: Callable[[str], str | None]) -> None:
        self._read = read
        self._named: dict[str, str] = {}
        self._agreed: set[str] = set()

    def has_agreed(self, type_: str) -> bool:
        """Tell whether two new connections have found the same store of a type."""
        return type_ in self._agreed

    def made(self, type_: str) -> None:
        """Forget the agreement on a type, because its document was created."""
        self._agreed.discard(type_)

    def saw(self, type_: str, store: str | None) -> None:
        """Note the store that a response names.

        Raises:
            MultipleStoresError: An earlier response named another one, and both are there.
            ResourcesMissingError: An earlier response named another one, which is no longer there.
        """
        known = self._named.get(type_)
        if store is None and known is None:
            return
        if known is None:
            assert store is not None
            self._named[type_] = store
        elif store != known:
            self._read_again(type_, [known, store])
            raise ResourcesMissingError(
                f"OPA lost the resources of `{type_}` meanwhile: it was restarted, or somebody removed them; try again"
            )

    def saw_all(self, current: Mapping[str, Any]) -> None:
        """Note the stores in a response's `current`; a type that is missing there may still have a store.

        Raises:
            EngineError: As in `saw`.
        """
        for type_, generation in current.items():
            if (store := store_of(generation)) is not None:
                self.saw(type_, store)

    def agree(self, type_: str, stores: tuple[str | None, str | None]) -> None:
        """Note the stores that two new connections have found, one after the other.

        Raises:
            EngineError: As in `saw`.
        """
        for store in stores:
            self.saw(type_, store)
        if stores[0] != stores[1]:  # the first push has just begun, or one of several OPAs is empty
            self._read_again(type_, stores)
        self._agreed.add(type_)

    def doubt(self, type_: str) -> None:
        """Read the store several times more, because what was read is impossible with one OPA.

        Raises:
            EngineError: As in `saw`.
        """
        for _ in range(_READS):
            self.saw(type_, self._read(type_))

    def _read_again(self, type_: str, seen: Iterable[str | None]) -> None:
        """Read until a store comes back after another one, which never happens with one OPA.

        Raises:
            MultipleStoresError: It came back.
        """
        last: str | None = None
        left: list[str] = []
        for store in self._seen_and_read(type_, seen):
            if store in left:
                raise several_stores(type_, store, last)
            if last is not None and store != last:
                left.append(last)
            last = store

    def _seen_and_read(self, type_: str, seen: Iterable[str | None]) -> Iterable[str | None]:
        yield from seen
        for _ in range(_READS):
            try:
                yield self._read(type_)
            except EngineError:  # decide by the stores that are known
                return
