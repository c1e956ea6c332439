"""Options that several commands share: the engine and the OPA server; and what all groups of options need."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from functools import wraps
from pathlib import Path  # noqa: TC003 - typer reads it from the options
from typing import TYPE_CHECKING, Annotated, Any, Final, get_type_hints

import typer

from bridge.errors import UsageError
from bridge.opa import OpaClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PANEL: Final = "OPA server"


class EngineName(StrEnum):
    """The engines."""

    WASM = "wasm"
    REFERENCE = "reference"
    OPA = "opa"


EngineOption = Annotated[EngineName, typer.Option("--engine", help="What decides.")]


@dataclass(frozen=True, slots=True)
class OpaOptions:
    """Which OPA server, and how to speak to it."""

    url: Annotated[
        str | None,
        typer.Option(
            "--opa-url",
            envvar="OPA_URL",
            metavar="URL",
            help="Where OPA is, such as http://127.0.0.1:8181 or unix:///run/opa.sock.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--opa-token-file",
            metavar="FILE",
            help="A file with the bearer token for OPA; read again when it changes.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    ca: Annotated[
        Path | None,
        typer.Option(
            "--opa-ca", metavar="FILE", help="The certificate authorities to trust, in PEM.", rich_help_panel=_PANEL
        ),
    ] = None
    certificate: Annotated[
        Path | None,
        typer.Option(
            "--opa-certificate", metavar="FILE", help="Our certificate for OPA, in PEM.", rich_help_panel=_PANEL
        ),
    ] = None
    key: Annotated[
        Path | None,
        typer.Option("--opa-key", metavar="FILE", help="The key of our certificate, in PEM.", rich_help_panel=_PANEL),
    ] = None
    deadline: Annotated[
        float,
        typer.Option(
            "--opa-deadline",
            metavar="SECONDS",
            min=0.001,
            help="How long one call to OPA may take.",
            rich_help_panel=_PANEL,
        ),
    ] = 30.0

    def client(self) -> OpaClient:
        """The client for the OPA that the options speak of.

        Raises:
            UsageError: An option is missing, or cannot be used.
        """
        if self.url is None:
            raise UsageError("where is OPA? Give --opa-url, or set OPA_URL")
        if (self.certificate is None) != (self.key is None):
            raise UsageError("--opa-certificate and --opa-key go together")
        return OpaClient(
            self.url,
            token=self.token_file,
            ca=self.ca,
            client_certificate=None if self.certificate is None or self.key is None else (self.certificate, self.key),
            deadline=self.deadline,
        )


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


def require_one(question: str, *, or_else: str = "", **options: object) -> None:
    """Refuse none, and more than one, of options that take each other's place.

    Args:
        question: What they answer.
        or_else: What else would do.
        options: By name, their values; None where one is not given.

    Raises:
        UsageError: Not exactly one is given.
    """
    *names, last = [f"--{name.strip('_').replace('_', '-')}" for name in options]
    given = sum(value is not None for value in options.values())
    if given != 1:
        hint = {0: or_else, 2: ", not both"}.get(given, ", not all")
        raise UsageError(f"{question} Give one of {', '.join(names)} and {last}{hint}")


def refuse_other(option: str, given: object, there: object, member: str) -> None:
    """Refuse an option that says something else than a file does.

    Args:
        option: Its name.
        given: What it says; None where it is not given.
        there: What the file says; None where it says it at length.
        member: The member of the file, in words.

    Raises:
        UsageError: They differ.
    """
    if given is not None and given != there:
        says = "says something else" if there is None or there == [] else f"is {_shown(there)}"
        raise UsageError(f"{option} {_shown(given)} contradicts {member}, which {says}: leave one of them out")


def given_options(context: typer.Context, group: str) -> list[str]:
    """The options of a group, such as `opa`, that stand on the command line, not in the environment."""
    return [
        param.opts[0]
        for param in context.command.params
        if param.name and param.name.startswith(f"{group}_") and is_from(context, param.name, "COMMANDLINE")
    ]


def is_from(context: typer.Context, name: str, source: str) -> bool:
    """Whether a parameter's value comes from there: `COMMANDLINE`, `ENVIRONMENT`, ..."""
    found = context.get_parameter_source(name)
    return found is not None and found.name == source


def refuse_opa_options(context: typer.Context, engine: EngineName) -> None:
    """Refuse options that speak of an OPA where none is asked.

    Raises:
        UsageError: There are some.
    """
    if engine is not EngineName.OPA and (names := given_options(context, "opa")):
        raise UsageError(f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} for --engine opa")


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return str(value).lower() if isinstance(value, bool) else f"`{value}`"
