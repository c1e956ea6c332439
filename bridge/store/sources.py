"""Where the resources of a type come from: Python objects, a file, or a callable that returns them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeAlias

from bridge.errors import MalformedInputError, UsageError
from bridge.store.loader import Loader, LoadResult, Omission, TextFormat
from bridge.store.reader import from_file
from bridge.strict_json import encode, parse

Source: TypeAlias = Path | Callable[[], Iterable[object] | LoadResult]
"""A file of JSON Lines or of one JSON array, or a callable that returns resources in the form that `push` takes."""


def from_objects(resources: Iterable[object], *, omit: Iterable[str] | Omission = ()) -> LoadResult:
    """Read resources from Python objects (R12.7), with the same checks; the first one is item 1.

    Args:
        resources: The resources, as dicts.
        omit: Members to leave out after the check, by top-level name or JSON Pointer.

    Raises:
        UsageError: It is one object, or a text, or not iterable.
        ConfigurationError: `omit` is not valid.
    """
    if isinstance(resources, (str, bytes, Mapping)) or not isinstance(resources, Iterable):
        raise UsageError(
            f"several resources are needed, such as a list of dicts, not a {type(resources).__name__}: "
            "`bridge.store.from_file` reads a file"
        )
    loader = Loader(TextFormat.OBJECTS, "", omit)
    for number, value in enumerate(resources, 1):
        try:
            text = encode(value)
        except MalformedInputError as error:
            loader.reject(number, str(error), value.get("id") if type(value) is dict else None)
        else:
            loader.add(number, parse(text))
    return loader.result()


def collect(source: Source, omit: Iterable[str] | Omission = ()) -> LoadResult:
    """Read the resources of a source.

    Raises:
        MalformedInputError: It is a file without resources, or neither JSON Lines nor a JSON array.
        UsageError: It returns resources that were read with another `omit`.
        OSError: The file cannot be read.
        Exception: Any exception of the callable.
    """
    if not isinstance(source, Path):
        return collected_from(source(), omit)
    result = from_file(source, omit=omit)
    if result.form is TextFormat.EMPTY:
        # A failed export leaves an empty file. Only an empty array says that there are no resources.
        raise MalformedInputError(
            "an empty file: write `[]` if there are no resources", rule="R12.1", what=f"`{source}`"
        )
    return result


def collected_from(resources: Iterable[object] | LoadResult, omit: Iterable[str] | Omission = ()) -> LoadResult:
    """Check resources in the form that `push` takes.

    Raises:
        UsageError: They are a `LoadResult` that was read with another `omit`.
        ConfigurationError: `omit` is not valid.
    """
    omission = omit if isinstance(omit, Omission) else Omission.of(omit)
    if not isinstance(resources, LoadResult):
        return from_objects(resources, omit=omission)
    if omission and omission != resources.omitted:
        raise UsageError(
            "these resources were read with another `omit`: give it to the function that reads them, such as from_file"
        )
    return resources


def with_omission(sources: Mapping[str, Source], omit: Iterable[str]) -> Mapping[str, Source]:
    """Return sources that leave out some members of their resources.

    Raises:
        ConfigurationError: `omit` is not valid.
    """
    omission = Omission.of(omit)
    if not omission:
        return sources
    return {
        # The engine refuses a source that is neither a path nor a callable.
        type_: partial(collect, source, omission) if isinstance(source, Path) or callable(source) else source
        for type_, source in sources.items()
    }
