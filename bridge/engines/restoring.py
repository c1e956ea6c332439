"""An OPA that was restarted comes up empty: the rules and the resources are brought back from where they come from."""

from __future__ import annotations

import os
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.errors import InvalidSetting, ResourcesLost
from bridge.resources import collect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.resources import OpaStore, Source
    from bridge.resources.prepared import Prepared

PATIENCE: Final = 30.0


class Restoration:
    """Brings back what an OPA has lost, once for all threads; other processes wait for the first of them.

    Args:
        install: Installs the rules.
        store: The engine's store.
        sources: Where the resources of each type come from.
        patience: How many seconds another process's push may give no sign of life before this one takes its place.

    Raises:
        InvalidSetting: A source is neither a path nor a callable.
    """

    def __init__(
        self,
        install: Callable[[], None],
        store: OpaStore,
        sources: Mapping[str, Source],
        *,
        patience: float = PATIENCE,
    ) -> None:
        for type_, source in sources.items():
            if not isinstance(source, Path) and not callable(source):
                raise InvalidSetting(f"the source of `{type_}` must be the path of a file, or a callable")
        self._install = install
        self._store = store
        self._sources = dict(sources)
        self._patience = patience
        self._owned = (os.getpid(), threading.Lock())
        self._runs = 0

    def run(self) -> None:
        """Bring back the rules and all types that have a source; where they are back already, do nothing.

        Raises:
            ResourcesLost: A source cannot be read, or has resources that are refused.
            EngineFault: OPA cannot be reached, or refuses.
        """
        pid, lock = self._owned
        if pid != os.getpid():  # another thread of the parent may have held it
            self._owned = (os.getpid(), lock := threading.Lock())
        before = self._runs
        with lock:
            if self._runs != before:
                return  # another thread has done it meanwhile
            self._install()
            for type_, source in self._sources.items():
                self._store.restore(type_, partial(_collected, type_, source), patience=self._patience)
            self._runs += 1


def _collected(type_: str, source: Source) -> Prepared:
    try:
        collected = collect(source)
    except Exception as error:  # whatever an application's own source may raise: the question has no answer
        raise ResourcesLost(f"OPA lost the resources of `{type_}`, and their source failed: {error}") from error
    if collected.refusals:
        # What was pushed once is pushed whole again or not at all: nobody is there to read a report.
        raise ResourcesLost(
            f"OPA lost the resources of `{type_}`, and {len(collected.refusals)} of {collected.read} in their source "
            f"are refused: {collected.refusals[0]}"
        )
    return collected.resources
