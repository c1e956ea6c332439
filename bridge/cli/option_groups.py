"""Options that belong together, declared once as a dataclass and taken by a command as one parameter."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer is to see it: each field of each dataclass among its parameters is an option of its own."""
    hints = get_type_hints(command, include_extras=True)
    own = inspect.signature(command).parameters.values()
    groups = {parameter.name: hints[parameter.name] for parameter in own if is_dataclass(hints[parameter.name])}

    @wraps(command)
    def called(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{each.name: given.pop(f"{name}_{each.name}") for each in fields(group)})
        command(**given)

    seen = [parameter.replace(annotation=hints[parameter.name]) for parameter in own if parameter.name not in groups]
    for name, group in groups.items():
        seen += _parameters(name, group)
    called.__signature__ = inspect.Signature(seen)  # type: ignore[attr-defined]
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in seen}
    return called


def _parameters(name: str, group: Any) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    for each in fields(group):
        assert each.default is not MISSING
        yield inspect.Parameter(
            f"{name}_{each.name}",
            inspect.Parameter.KEYWORD_ONLY,
            default=each.default,
            annotation=hints[each.name],
        )
