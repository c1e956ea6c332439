"""Whether all answers of one operation come from one OPA: each names the store that it comes from.

See docs/decisions/several-opas.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bridge.errors import EngineError, MultipleStoresError, ResourcesMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_LOOKS: Final = 8
"""How often more is looked where answers differ: several OPAs, or one that was restarted?"""


def store_of(state: Any) -> str | None:
    """The name of the store in a type's state, whatever its layout; None where it has none."""
    store = state.get("store") if isinstance(state, dict) else None
    return store if isinstance(store, str) and store else None


def several_stores(type_: str, one: str | None, other: str | None) -> MultipleStoresError:
    """The error that says so; None stands for an OPA without any store of the type."""
    names = " and ".join(f"`{store[:8]}`" if store else "none" for store in (one, other))
    return MultipleStoresError(
        f"several OPAs answer at this address, each with `{type_}` of its own (stores {names}): "
        "ask one of them, or feed all of them by one bundle"
    )


def written_elsewhere(type_: str) -> MultipleStoresError:
    """The error where an OPA takes what is written, and another one is read."""
    return MultipleStoresError(
        f"several OPAs answer at this address: what is written to `{type_}` is not there when it is read again; "
        "give the address of one of them"
    )


class SingleStore:
    """The stores that the answers of one operation have named, by type: each type must have one.

    Args:
        read: Gives the name of a type's store as a fresh connection finds it; None where it has none.
    """

    def __init__(self, read: Callable[[str], str | None]) -> None:
        self._read = read
        self._named: dict[str, str] = {}
        self._agreed: set[str] = set()

    def has_agreed(self, type_: str) -> bool:
        """Whether two fresh connections have given the same answer about a type."""
        return type_ in self._agreed

    def made(self, type_: str) -> None:
        """A type's document was made: what was agreed on is no more."""
        self._agreed.discard(type_)

    def saw(self, type_: str, store: str | None) -> None:
        """Take note of the store that an answer names.

        Raises:
            MultipleStoresError: An earlier answer named another one, and both are there.
            ResourcesMissingError: An earlier answer named another one, which is there no more.
        """
        known = self._named.get(type_)
        if store is None and known is None:
            return
        if known is None:
            assert store is not None
            self._named[type_] = store
        elif store != known:
            self._look_again(type_, [known, store])
            raise ResourcesMissingError(
                f"OPA lost the resources of `{type_}` meanwhile: it was restarted, or somebody removed them; try again"
            )

    def saw_all(self, current: Mapping[str, Any]) -> None:
        """Take note of the stores in an answer's `current`; a type that it lacks need not be without a store.

        Raises:
            EngineError: As for `saw`.
        """
        for type_, found in current.items():
            if (store := store_of(found)) is not None:
                self.saw(type_, store)

    def agree(self, type_: str, stores: tuple[str | None, str | None]) -> None:
        """Take note of what two fresh connections have found, one after the other.

        Raises:
            EngineError: As for `saw`.
        """
        for store in stores:
            self.saw(type_, store)
        if stores[0] != stores[1]:  # the first push has just begun, or one of several OPAs is empty
            self._look_again(type_, stores)
        self._agreed.add(type_)

    def doubt(self, type_: str) -> None:
        """Look once more, and often, because something cannot be if there is one OPA.

        Raises:
            EngineError: As for `saw`.
        """
        for _ in range(_LOOKS):
            self.saw(type_, self._read(type_))

    def _look_again(self, type_: str, seen: Iterable[str | None]) -> None:
        """Look until a store is seen again behind another, as it never is on one OPA.

        Raises:
            MultipleStoresError: It was.
        """
        last: str | None = None
        left: list[str] = []
        for store in self._and_more(type_, seen):
            if store in left:
                raise several_stores(type_, store, last)
            if last is not None and store != last:
                left.append(last)
            last = store

    def _and_more(self, type_: str, seen: Iterable[str | None]) -> Iterable[str | None]:
        yield from seen
        for _ in range(_LOOKS):
            try:
                yield self._read(type_)
            except EngineError:  # what is known is said
                return
