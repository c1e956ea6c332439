"""One recovery run: it looks what an OPA has lost, brings that back from the sources, and looks again.

See docs/decisions/recovery.md.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from copy import copy
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import Final, Protocol

from bridge.decision import Decision, Request
from bridge.engines.installation import InterferenceError
from bridge.errors import (
    ConfigurationError,
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
from bridge.opa.limited import Limits
from bridge.store import OpaStore, Source, collect
from bridge.store.store import PreparedResources

_PROBE: Final = Request(claims=None, type=None)
_PERMANENT: Final = (
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
    """What a recovery does at the moment, in words for an error."""

    IDLE = "nothing is under way"
    LOOKING = "it looks for what is missing"
    INSTALLING = "it installs the rules"
    PUSHING = "it pushes resources, or waits for another process that does"
    COLLECTING = "it asks a source for resources"
    PAUSING = "it pauses before the next try"
    RESTING = "it failed, and rests"
    CLOSED = "the engine is closed"


class RecoverableEngine(Protocol):
    """What a recovery run needs of an OPA engine."""

    @property
    def store(self) -> OpaStore:
        """Return the pushed resources."""

    def decide(self, requests: Sequence[Request]) -> list[Decision]:
        """Return one decision for each request; an error tells what OPA has lost."""

    def install(self) -> None:
        """Install the rules."""

    def is_being_installed(self) -> bool:
        """Return whether another process installs the rules now."""


class SourceError(Exception):
    """A source cannot be read, or has resources that are rejected."""


def checked_sources(sources: Mapping[str, Source], types: Collection[str]) -> dict[str, Source]:
    """Return the sources if all of them can be used.

    Raises:
        ConfigurationError: A source is neither a path nor a callable, or its type is not one of the rule set.
    """
    for type_, source in sources.items():
        if type_ not in types:
            raise ConfigurationError(
                f"`sources` has one for `{type_}`, which is no resource type of the rule set: correct the name, or add "
                "the type to the rule set"
            )
        if not isinstance(source, Path) and not callable(source):
            raise ConfigurationError(f"the source of `{type_}` must be the path of a file, or a callable")
    return dict(sources)


def collect_all(type_: str, source: Source) -> PreparedResources:
    """Return the resources of a source, all of them or none.

    Raises:
        SourceError: It cannot be read, or has resources that are rejected.
    """
    try:
        loaded = collect(source)
    except (Exception, SystemExit) as error:  # an application's own source may raise anything
        raise SourceError(
            f"OPA lost the resources of `{type_}`, and their source failed: {error}; correct the source"
        ) from error
    if loaded.rejected:
        # A complete push is pushed complete again, or not at all: nobody would read a report.
        raise SourceError(
            f"OPA lost the resources of `{type_}`, and {len(loaded.rejected)} of {loaded.read} in their source "
            f"are refused: {loaded.rejected[0]}; correct them in the source"
        )
    return loaded.resources


class RecoveryRun:
    """One run of a recovery, and what to call when it ends.

    Args:
        limits: Its time limit.

    Attributes:
        limits: Its time limit.
        state: What it does now.
        failure: The last failure of its attempts; after the end, the failure that ended it, or None.
        thread: Its thread.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.state: RecoveryState = RecoveryState.LOOKING
        self.failure: EngineError | None = None
        self.thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._wakers: set[Callable[[], object]] = set()

    @property
    def has_ended(self) -> bool:
        """Return whether the run is over."""
        return self._ended.is_set()

    def wait(self, seconds: float) -> None:
        """Wait until the run has ended, at most so many seconds."""
        self._ended.wait(seconds)

    def call_at_end(self, wake: Callable[[], object]) -> bool:
        """Call this when the run ends, in its thread; return False if it has ended already."""
        with self._lock:
            if self.has_ended:
                return False
            self._wakers.add(wake)
            return True

    def forget(self, wake: Callable[[], object]) -> None:
        """Do not call this at the end; return after a call that is under way."""
        with self._lock:
            self._wakers.discard(wake)

    def end(self, failure: EngineError | None) -> None:
        """End the run, and call all that wait for that."""
        with self._lock:
            self.failure = failure
            self._ended.set()
            for wake in self._wakers:
                with suppress(RuntimeError):  # its event loop is closed
                    wake()
            self._wakers.clear()

    def bring_back(
        self, engine: RecoverableEngine, sources: Mapping[str, Source], *, tries: int, patience: float
    ) -> None:
        """Install the rules if they are missing, and push the resources that are missing; leave the others as they are.

        Args:
            engine: An engine without sources, whose requests obey the limits.
            sources: The source of the resources of each type.
            tries: The most attempts.
            patience: If another process pushes and sends no heartbeat for so many seconds, this one takes over.

        Raises:
            SourceError: A source cannot be read, or has resources that are rejected.
            EngineError: It failed, or reached its time limit.
        """
        for tried in count():
            try:
                self.state = RecoveryState.LOOKING
                engine.store.require_one()  # what is back on only one of several OPAs is still lost
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
                    raise self._limit_error() from fault
                self.failure = copy(fault)  # a copy, for a traceback keeps the resources alive
                if _is_permanent(fault) or tried == tries:
                    raise
        raise _lost_again_error(are_rules_missing, types, tries, self.failure)

    def _pause(self, tried: int) -> None:
        """Pause longer each time, for a random time, so that processes do not disturb each other again and again."""
        if tried:
            self.state = RecoveryState.PAUSING
            longest = min(_MOST_PAUSE, _FIRST_PAUSE * 2**tried)
            self.limits.pause(random.uniform(longest / 2, longest))  # noqa: S311 - no secret

    def _bring(self, engine: RecoverableEngine, sources: Mapping[str, Source], patience: float, *, rules: bool) -> None:
        install_error: EngineError | None = None
        if rules:
            self.state = RecoveryState.INSTALLING
            try:
                engine.install()
            except (InterferenceError, RulesNotInstalledError) as fault:
                install_error = fault  # the push may find a clearer error on such an OPA
        for type_, source in sources.items():
            self.state = RecoveryState.PUSHING
            collected = partial(self._collect, type_, source)
            engine.store.restore(type_, collected, patience=patience, limits=self.limits)
        if install_error is not None:
            raise install_error

    def _collect(self, type_: str, source: Source) -> PreparedResources:
        self.state = RecoveryState.COLLECTING
        resources = collect_all(type_, source)
        self.state = RecoveryState.PUSHING
        return resources

    def _limit_error(self) -> EngineError:
        """Return the error of the time limit, with the last failure before it."""
        fault = self.limits.fault()
        return fault if self.failure is None else type(fault)(f"{fault}; the last fault was: {self.failure}")


def _missing(engine: RecoverableEngine, sources: Mapping[str, Source]) -> tuple[bool, list[str]]:
    """Return whether the rules are missing, and the types with a source but without current resources."""
    are_rules_missing = False
    try:
        engine.decide([_PROBE])
    except RulesNotInstalledError:
        are_rules_missing = True
    states = {type_: engine.store.look(type_) for type_ in sources}
    return are_rules_missing, [type_ for type_, state in states.items() if state is None or state.current is None]


def _is_permanent(fault: EngineError) -> bool:
    """Return whether another attempt would fail in the same way."""
    if isinstance(fault, OpaStatusError):
        # Others may pass, even 400: OPA may have lost in between what a module imports.
        return fault.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
    return isinstance(fault, _PERMANENT)


def _lost_again_error(rules: bool, types: list[str], tries: int, failure: EngineError | None) -> EngineError:  # noqa: FBT001
    what = " and ".join([*(["the rules"] if rules else []), *(f"the resources of `{type_}`" for type_ in types)])
    text = f"OPA has lost {what} again, {tries} times in a row: see why it restarts, or who removes them"
    if failure is not None:
        text += f"; the last fault was: {failure}"
    return RulesNotInstalledError(text) if rules else ResourcesMissingError(text)


def failure_of(error: BaseException) -> EngineError:
    """Return the error for the queries that wait, without a traceback, which would keep the resources alive."""
    if isinstance(error, EngineError):
        return copy(error)
    if isinstance(error, SourceError):
        return ResourcesMissingError(str(error))
    return EngineError(
        f"the recovery ended with {type(error).__name__}: {error}; the log of `bridge` has the traceback"
    )
