"""The application that the commands belong to."""

from __future__ import annotations

import inspect
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bridge.cli.argument_names import Command, Group
from bridge.cli.option_groups import with_options

if TYPE_CHECKING:
    from collections.abc import Callable

_EXAMPLES: Final = "\n\nExamples:\n"

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
    help="Decide, through Open Policy Agent, what the `policy` claim of a JWT lets its bearer access.",
    epilog="First steps: [bold]jwt-bridge demo[/bold]",
)


def register(command: Callable[..., None]) -> None:
    """Make a function a command; its docstring is its help, the examples at its end."""
    text, _, examples = inspect.cleandoc(command.__doc__ or "").partition(_EXAMPLES)

    class Explained(Command):
        pass

    Explained.examples = inspect.cleandoc(examples)
    # Typer would break the lines where the source does.
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    app.command(command.__name__.strip("_"), help="\n\n".join(paragraphs), cls=Explained)(with_options(command))


def _version(asked: bool) -> None:  # noqa: FBT001 - typer's way of calling back
    if asked:
        typer.echo(f"jwt-bridge {version('jwt-policy-bridge')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options that stand before a command."""
