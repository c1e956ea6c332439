"""Options that several commands share: the engine and the OPA server; and functions for all groups of options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final, get_type_hints

import typer

from bridge.errors import UsageError
from bridge.opa import OpaClient

_PANEL: Final = "OPA server"


class EngineName(StrEnum):
    """The names of the engines."""

    WASM = "wasm"
    REFERENCE = "reference"
    OPA = "opa"


EngineOption = Annotated[EngineName, typer.Option("--engine", help="The engine that decides.")]


@dataclass(frozen=True, slots=True)
class OpaOptions:
    """Options that name an OPA server and how to connect to it."""

    url: Annotated[
        str | None,
        typer.Option(
            "--opa-url",
            envvar="OPA_URL",
            metavar="URL",
            help="The address of OPA, such as http://127.0.0.1:8181 or unix:///run/opa.sock.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--opa-token-file",
            metavar="FILE",
            help="A file that holds the bearer token for OPA; it is read again when it changes.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    ca: Annotated[
        Path | None,
        typer.Option(
            "--opa-ca", metavar="FILE", help="The trusted certificate authorities, in PEM.", rich_help_panel=_PANEL
        ),
    ] = None
    certificate: Annotated[
        Path | None,
        typer.Option(
            "--opa-certificate", metavar="FILE", help="The client certificate, in PEM.", rich_help_panel=_PANEL
        ),
    ] = None
    key: Annotated[
        Path | None,
        typer.Option(
            "--opa-key", metavar="FILE", help="The key of the client certificate, in PEM.", rich_help_panel=_PANEL
        ),
    ] = None
    deadline: Annotated[
        float,
        typer.Option(
            "--opa-deadline",
            metavar="SECONDS",
            min=0.001,
            help="The longest time that one call to OPA may take.",
            rich_help_panel=_PANEL,
        ),
    ] = 30.0

    def client(self) -> OpaClient:
        """Return a client for the OPA server that the options name.

        Raises:
            UsageError: An option is missing, or cannot be used.
        """
        if self.url is None:
            raise UsageError("no OPA server is named: give --opa-url, or set OPA_URL")
        if (self.certificate is None) != (self.key is None):
            raise UsageError("one of --opa-certificate and --opa-key is missing: give both or neither")
        return OpaClient(
            self.url,
            token=self.token_file,
            ca=self.ca,
            client_certificate=None if self.certificate is None or self.key is None else (self.certificate, self.key),
            deadline=self.deadline,
        )


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command as typer needs it: each field of each dataclass parameter becomes an option."""
    hints = get_type_hints(command, include_extras=True)
    plain = inspect.signature(command).parameters.values()
    groups = {parameter.name: hints[parameter.name] for parameter in plain if is_dataclass(hints[parameter.name])}

    @wraps(command)
    def command_with_groups(**arguments: Any) -> None:
        for name, group in groups.items():
            arguments[name] = group(**{each.name: arguments.pop(f"{name}_{each.name}") for each in fields(group)})
        command(**arguments)

    parameters = [
        parameter.replace(annotation=hints[parameter.name]) for parameter in plain if parameter.name not in groups
    ]
    for name, group in groups.items():
        parameters += _parameters(name, group)
    command_with_groups.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command_with_groups.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command_with_groups


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


def require_one(what: str, *, or_else: str = "", **options: object) -> None:
    """Require exactly one of several options.

    Args:
        what: What they give, such as `the resource`.
        or_else: Another way to give it, for the error.
        options: Their values by name; None for an option that is not given.

    Raises:
        UsageError: None of them is given, or more than one.
    """
    *names, last = [f"--{name.strip('_').replace('_', '-')}" for name in options]
    count = sum(value is not None for value in options.values())
    if count != 1:
        hint = {0: or_else, 2: ", not both"}.get(count, ", not all")
        raise UsageError(f"give {what} by one of {', '.join(names)} and {last}{hint}")


def refuse_contradiction(option: str, value: object, file_value: object, member: str) -> None:
    """Refuse an option whose value differs from that of a rule-set file.

    Args:
        option: The name of the option.
        value: Its value; None if it is not given.
        file_value: The value in the file; None if it is too long to show.
        member: The member of the file, in words.

    Raises:
        UsageError: The values differ.
    """
    if value is not None and value != file_value:
        says = "differs" if file_value is None or file_value == [] else f"is {_shown(file_value)}"
        raise UsageError(f"{option} {_shown(value)} contradicts {member}, which {says}: leave one of them out")


def options_on_command_line(context: typer.Context, group: str) -> list[str]:
    """Return the options of a group, such as `opa`, that are given on the command line, not by the environment."""
    return [
        param.opts[0]
        for param in context.command.params
        if param.name and param.name.startswith(f"{group}_") and has_source(context, param.name, "COMMANDLINE")
    ]


def has_source(context: typer.Context, name: str, source: str) -> bool:
    """Return whether the value of a parameter has this source: `COMMANDLINE`, `ENVIRONMENT`, ..."""
    parameter_source = context.get_parameter_source(name)
    return parameter_source is not None and parameter_source.name == source


def refuse_opa_options(context: typer.Context, engine: EngineName) -> None:
    """Refuse options of an OPA server if another engine decides.

    Raises:
        UsageError: There is such an option.
    """
    if engine is not EngineName.OPA and (names := options_on_command_line(context, "opa")):
        raise UsageError(
            f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} for --engine opa: leave out what you do not need"
        )


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return str(value).lower() if isinstance(value, bool) else f"`{value}`"
