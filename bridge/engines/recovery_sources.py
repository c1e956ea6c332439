"""Where the resources come from that an OPA has lost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bridge.errors import ConfigurationError
from bridge.store import collect

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bridge.store import Source
    from bridge.store.store import PreparedResources


class SourceError(Exception):
    """A source cannot be read, or has resources that are refused."""


def checked_sources(sources: Mapping[str, Source], types: Collection[str]) -> dict[str, Source]:
    """Sources that can be asked.

    Raises:
        ConfigurationError: A source is neither a path nor a callable, or is for no resource type of the rule set.
    """
    for type_, source in sources.items():
        if type_ not in types:
            raise ConfigurationError(f"`sources` has one for `{type_}`, which is no resource type of the rule set")
        if not isinstance(source, Path) and not callable(source):
            raise ConfigurationError(f"the source of `{type_}` must be the path of a file, or a callable")
    return dict(sources)


def collected(type_: str, source: Source) -> PreparedResources:
    """The resources that a source gives, all of them or none.

    Raises:
        SourceError: It cannot be read, or has resources that are refused.
    """
    try:
        found = collect(source)
    except (Exception, SystemExit) as error:  # whatever an application's own source may raise
        raise SourceError(f"OPA lost the resources of `{type_}`, and their source failed: {error}") from error
    if found.rejected:
        # What was pushed once is pushed whole again or not at all: nobody is there to read a report.
        raise SourceError(
            f"OPA lost the resources of `{type_}`, and {len(found.rejected)} of {found.read} in their source "
            f"are refused: {found.rejected[0]}"
        )
    return found.resources
