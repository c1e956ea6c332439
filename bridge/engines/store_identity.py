"""What an OPA remembers: it is not taken at its word once it has lost the pushed resources, or is several OPAs."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from bridge.decision import Reason
from bridge.errors import MultipleStoresError, ResourcesMissingError, UnsupportedLayoutError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.decision import Decision, Request
    from bridge.strict_json import Value

_REMEMBERED: Final = 64


class StoreIdentity:
    """Looks at the stores that answers come from; threads may share it."""

    def __init__(self) -> None:
        self._latest: dict[str, str] = {}
        self._earlier: dict[str, deque[str]] = {}

    def check(self, current: Mapping[str, Value], requests: Sequence[Request], decisions: Sequence[Decision]) -> None:
        """Refuse an answer about stored resources that says no more than that there are none.

        Args:
            current: What the rules say is current, by resource type.
            requests: What was asked.
            decisions: What was decided.

        Raises:
            ResourcesMissingError: The type has no pushed resources.
            UnsupportedLayoutError: They lie in a layout that the rules do not know.
            MultipleStoresError: Another OPA has answered meanwhile.
        """
        self.note(current)
        for request, decision in zip(requests, decisions, strict=True):
            if request.is_by_id and decision.reason is Reason.UNKNOWN_RESOURCE and decision.revision is None:
                assert request.type is not None
                raise self.lost(current, request.type.decode("utf-8")[1:-1])

    def note(self, current: Mapping[str, Value]) -> None:
        """Note the stores that an answer comes from.

        Raises:
            MultipleStoresError: Another OPA has answered meanwhile.
        """
        for type_, found in current.items():
            if isinstance(found, dict) and isinstance(store := found.get("store"), str):
                self._note(type_, store)

    def lost(self, current: Mapping[str, Value], type_: str) -> ResourcesMissingError | UnsupportedLayoutError:
        """Why there are no resources of a type."""
        found = current.get(type_)
        if isinstance(found, dict) and "layout" in found:
            return UnsupportedLayoutError(
                f"the resources of `{type_}` lie in OPA in a layout that its rules do not know"
            )
        if type_ in self._latest:
            cause = "it was restarted without them, or somebody removed them"
        else:
            cause = "none were ever pushed, or it was restarted without them"
        return ResourcesMissingError(f"OPA has no pushed resources of `{type_}`: {cause}; push them (again)")

    def _note(self, type_: str, store: str) -> None:
        latest = self._latest.get(type_)
        if store == latest:
            return
        earlier = self._earlier.setdefault(type_, deque(maxlen=_REMEMBERED))
        if store in earlier:
            raise MultipleStoresError(
                f"several OPAs answer at this address, each with `{type_}` of its own (stores `{store[:8]}` and "
                f"`{(latest or '')[:8]}`): ask one of them, or feed all of them by one bundle"
            )
        if latest is not None:
            earlier.append(latest)
        self._latest[type_] = store
