"""What an OPA remembers: it is not taken at its word once it has lost the pushed resources, or is several OPAs."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from bridge.decision import Reason
from bridge.errors import ResourcesLost, SeveralStores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.decision import Decision, Request
    from bridge.resources import OpaStore
    from bridge.strict_json import Value

_REMEMBERED: Final = 64


class Memory:
    """Looks at the stores that answers come from; threads may share it.

    Args:
        store: The store of the engine.
    """

    def __init__(self, store: OpaStore) -> None:
        self._store = store
        self._latest: dict[str, str] = {}
        self._earlier: dict[str, deque[str]] = {}

    def check(self, answer: Value, requests: Sequence[Request], decisions: Sequence[Decision]) -> None:
        """Refuse an answer about stored resources that says no more than that there are none.

        Raises:
            ResourcesLost: The type has no pushed resources.
            LayoutDiffers: They lie in a layout that the rules do not know.
            SeveralStores: Another OPA has answered meanwhile.
        """
        assert isinstance(answer, dict)
        self.note(answer["current"])
        for request, decision in zip(requests, decisions, strict=True):
            if request.is_by_id and decision.reason is Reason.UNKNOWN_RESOURCE and decision.revision is None:
                assert request.type is not None
                self.lost(request.type.decode("utf-8")[1:-1])

    def note(self, current: Value) -> None:
        """Note the stores that an answer comes from.

        Raises:
            SeveralStores: Another OPA has answered meanwhile.
        """
        assert isinstance(current, dict)
        for type_, found in current.items():
            if isinstance(found, dict) and isinstance(store := found.get("store"), str):
                self._note(type_, store)

    def lost(self, type_: str) -> None:
        """Say why there are no resources of a type.

        Raises:
            ResourcesLost: None were pushed, or OPA was restarted.
            LayoutDiffers: They lie in a layout that the rules do not know.
        """
        self._store.look(type_)
        before = (
            "it has been restarted without them"
            if type_ in self._latest
            else "none were ever pushed, or it was restarted"
        )
        raise ResourcesLost(f"OPA has no pushed resources of `{type_}`: {before}; push them (again)")

    def _note(self, type_: str, store: str) -> None:
        latest = self._latest.get(type_)
        if store == latest:
            return
        earlier = self._earlier.setdefault(type_, deque(maxlen=_REMEMBERED))
        if store in earlier:
            raise SeveralStores(
                f"several OPAs answer at this address, each with `{type_}` of its own (stores `{store[:8]}` and "
                f"`{(latest or '')[:8]}`): ask one of them, or feed all of them by one bundle"
            )
        if latest is not None:
            earlier.append(latest)
        self._latest[type_] = store
