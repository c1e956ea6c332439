"""Where the resources of a type come from when nobody is there to read a report: all of them are good, or none."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from bridge.errors import MalformedInputError, UsageError
from bridge.store.loader import LoadResult, TextFormat
from bridge.store.omission import Omission
from bridge.store.reader import from_objects
from bridge.store.stream import from_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Source: TypeAlias = "Path | Callable[[], Iterable[object] | LoadResult]"
"""Where the resources of a type come from: a file of JSON Lines or of one JSON array, or a callable that gives them as
`push` takes them."""


def collect(source: Source, omit: Iterable[str] | Omission = ()) -> LoadResult:
    """The resources of a source.

    Raises:
        MalformedInputError: It is a file without resources, or one that is neither JSON Lines nor a JSON array.
        UsageError: It gives what was collected with another `omit`.
        OSError: The file cannot be read.
        Exception: Whatever the callable raises.
    """
    if not isinstance(source, Path):
        return collected_from(source(), omit)
    collected = from_file(source, omit=omit)
    if collected.form is TextFormat.EMPTY:
        # An export that failed leaves such a file; that there are no resources is said by an empty array.
        raise MalformedInputError(
            "an empty file: write `[]` if there are no resources", rule="R12.1", what=f"`{source}`"
        )
    return collected


def collected_from(resources: Iterable[object] | LoadResult, omit: Iterable[str] | Omission = ()) -> LoadResult:
    """Resources as `push` takes them, checked.

    Raises:
        UsageError: What was collected already was so with another `omit`.
        ConfigurationError: `omit` cannot be used.
    """
    omission = omit if isinstance(omit, Omission) else Omission.of(omit)
    if not isinstance(resources, LoadResult):
        return from_objects(resources, omit=omission)
    if omission and omission != resources.omitted:
        raise UsageError("these resources were read with another `omit`: give it to what reads them, such as from_file")
    return resources


def with_omission(sources: Mapping[str, Source], omit: Iterable[str]) -> Mapping[str, Source]:
    """The sources, without some members of their resources.

    Raises:
        ConfigurationError: `omit` cannot be used.
    """
    omission = Omission.of(omit)
    if not omission:
        return sources
    return {
        # What is neither is refused by who is given it.
        type_: partial(collect, source, omission) if isinstance(source, Path) or callable(source) else source
        for type_, source in sources.items()
    }
