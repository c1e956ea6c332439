"""One run that brings back what an OPA has lost: it looks what is missing, brings that, and looks again.

See docs/decisions/restoring.md.
"""

from __future__ import annotations

import random
import threading
from contextlib import suppress
from copy import copy
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, Final

from bridge.decision import Request
from bridge.engines.installation import InterferenceError
from bridge.engines.recovery_sources import SourceError, collected
from bridge.errors import (
    EngineError,
    ForeignContentError,
    MultipleStoresError,
    OpaStatusError,
    OwnedByBundleError,
    ResourcesMissingError,
    RulesMismatchError,
    RulesNotInstalledError,
    UnsupportedLayoutError,
    UnsupportedOpaVersionError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.engines.opa_engine import OpaEngine
    from bridge.opa.limited import Limits
    from bridge.store import Source
    from bridge.store.store import PreparedResources

_ANYTHING: Final = Request(claims=None, type=None)
_LASTING: Final = (
    UnsupportedOpaVersionError,
    ForeignContentError,
    UnsupportedLayoutError,
    OwnedByBundleError,
    RulesMismatchError,
    MultipleStoresError,
)
_FIRST_PAUSE: Final = 0.1
_INSTALL_ELSEWHERE: Final = 1.0
_MOST_PAUSE: Final = 5.0


class RecoveryState(StrEnum):
    """What a recovery does at a moment, in words for an error."""

    IDLE = "nothing is under way"
    LOOKING = "it looks for what is missing"
    INSTALLING = "it installs the rules"
    PUSHING = "it pushes resources, or waits for another process that does"
    COLLECTING = "it asks a source for resources"
    PAUSING = "it pauses before the next try"
    RESTING = "it failed, and rests"
    CLOSED = "the engine is closed"


class RecoveryRun:
    """What one run does, and who is told when it ends.

    Args:
        limits: Until when it may go on.

    Attributes:
        limits: Until when it may go on.
        state: What it does now.
        failure: What went wrong last, in any of its tries; once it has ended, what ended it, or None.
        thread: Where it is done.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.state = RecoveryState.LOOKING
        self.failure: EngineError | None = None
        self.thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._wakers: set[Callable[[], object]] = set()

    @property
    def has_ended(self) -> bool:
        """Whether nothing will be done any more."""
        return self._ended.is_set()

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, so many seconds at most."""
        self._ended.wait(seconds)

    def call_at_end(self, wake: Callable[[], object]) -> bool:
        """Call this when it ends, in its thread; gives whether that is still to come."""
        with self._lock:
            if self.has_ended:
                return False
            self._wakers.add(wake)
            return True

    def forget(self, wake: Callable[[], object]) -> None:
        """Do not call this any more; returns when nobody does."""
        with self._lock:
            self._wakers.discard(wake)

    def end(self, failure: EngineError | None) -> None:
        """Tell all that it has ended."""
        with self._lock:
            self.failure = failure
            self._ended.set()
            for wake in self._wakers:
                with suppress(RuntimeError):  # its event loop is closed
                    wake()
            self._wakers.clear()

    def bring_back(self, engine: OpaEngine, sources: Mapping[str, Source], *, tries: int, patience: float) -> None:
        """Bring back all that is missing, and leave alone what is there.

        Args:
            engine: Makes its requests within the limits, and has no sources itself.
            sources: Where the resources of each type come from.
            tries: How often something may be brought.
            patience: How many seconds another process's push may give no sign of life before this one takes its place.

        Raises:
            SourceError: A source cannot be read, or has resources that are refused.
            EngineError: It cannot be done, within the limits.
        """
        for tried in count():
            try:
                self.state = RecoveryState.LOOKING
                engine.store.require_one()  # what is back on one of several OPAs is not back
                are_rules_missing, types = _missing(engine, sources)
                if not are_rules_missing and not types:
                    return
                if tried == tries:
                    break
                self._pause(tried)
                if are_rules_missing and not tried and engine.is_being_installed():
                    self.limits.pause(_INSTALL_ELSEWHERE)
                    are_rules_missing, types = _missing(engine, sources)
                self._bring(engine, {type_: sources[type_] for type_ in types}, patience, rules=are_rules_missing)
            except EngineError as fault:
                if self.limits.is_over:
                    raise self._over() from fault
                self.failure = copy(fault)  # whose traceback does not hold the resources
                if _lasts(fault) or tried == tries:
                    raise
        raise _lost_again(are_rules_missing, types, tries, self.failure)

    def _pause(self, tried: int) -> None:
        """Wait longer each time; not all processes as long, or they would get into each other's way each time."""
        if tried:
            self.state = RecoveryState.PAUSING
            longest = min(_MOST_PAUSE, _FIRST_PAUSE * 2**tried)
            self.limits.pause(random.uniform(longest / 2, longest))  # noqa: S311 - no secret

    def _bring(self, engine: OpaEngine, sources: Mapping[str, Source], patience: float, *, rules: bool) -> None:
        unseen: EngineError | None = None
        if rules:
            self.state = RecoveryState.INSTALLING
            try:
                engine.install()
            except (InterferenceError, RulesNotInstalledError) as fault:
                unseen = fault  # the resources tell more about an OPA that does not read what it was given
        for type_, source in sources.items():
            self.state = RecoveryState.PUSHING
            collect = partial(self._collected, type_, source)
            engine.store.restore(type_, collect, patience=patience, limits=self.limits)
        if unseen is not None:
            raise unseen

    def _collected(self, type_: str, source: Source) -> PreparedResources:
        self.state = RecoveryState.COLLECTING
        found = collected(type_, source)
        self.state = RecoveryState.PUSHING
        return found

    def _over(self) -> EngineError:
        """Why it may not go on, and what went wrong before that."""
        fault = self.limits.fault()
        return fault if self.failure is None else type(fault)(f"{fault}; the last fault was: {self.failure}")


def _missing(engine: OpaEngine, sources: Mapping[str, Source]) -> tuple[bool, list[str]]:
    """Whether the rules are missing, and the types with a source of which nothing is current."""
    are_rules_missing = False
    try:
        engine.decide([_ANYTHING])
    except RulesNotInstalledError:
        are_rules_missing = True
    states = {type_: engine.store.look(type_) for type_ in sources}
    return are_rules_missing, [type_ for type_, state in states.items() if state is None or state.current is None]


def _lasts(fault: EngineError) -> bool:
    """Whether another try at once would end in the same way."""
    if isinstance(fault, OpaStatusError):
        # Others, 400 too, may be no more than that it forgot in between what a module needs.
        return fault.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
    return isinstance(fault, _LASTING)


def _lost_again(rules: bool, types: list[str], tries: int, failure: EngineError | None) -> EngineError:  # noqa: FBT001
    what = " and ".join([*(["the rules"] if rules else []), *(f"the resources of `{type_}`" for type_ in types)])
    text = f"OPA has lost {what} again, {tries} times in a row: see why it restarts, or who removes them"
    if failure is not None:
        text += f"; the last fault was: {failure}"
    return RulesNotInstalledError(text) if rules else ResourcesMissingError(text)


def failure_of(error: BaseException) -> EngineError:
    """What ended a run, as the fault that questions are told: without a traceback, which would hold the resources."""
    if isinstance(error, EngineError):
        return copy(error)
    if isinstance(error, SourceError):
        return ResourcesMissingError(str(error))
    return EngineError(f"bringing back what OPA lost ended by {type(error).__name__}: {error}")
