"""The application that the commands belong to: how they are registered, parsed, and explained by their help."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Annotated, Any, Final, cast

import typer
from typer.core import TyperCommand, TyperGroup

from bridge.cli.options import with_options
from bridge.escapes import escaped

_EXAMPLES: Final = "\n\nExamples:\n"
_INDENT: Final = "  "
_USAGE_ERROR = cast("type[Exception]", typer.BadParameter.__mro__[1])  # typer does not export the base of its errors


class Command(TyperCommand):
    """A command whose help ends with examples that are never wrapped, so that they can be pasted.

    It refuses an option that takes one value and is given twice: the first of two keys would silently not count.
    """

    examples: str = ""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters; the help of a flag shows no type."""
        return _plain_flags(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line, and refuse an option whose first value would be ignored."""
        typed = list(args)
        rest: list[str] = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:
            _, _, order = self.make_parser(ctx).parse_args(args=typed)
            for param in order:
                if _takes_one_value(param) and order.count(param) > 1:
                    ctx.fail(f"{param.opts[0]} is given more than once: give it once")
        return rest

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, then the examples without wrapping them."""
        super().format_help(ctx, formatter)
        if self.examples:
            lines = [_INDENT + line if line else "" for line in self.examples.split("\n")]
            formatter.write("\n".join(["Examples:", *lines]) + "\n")


class Group(TyperGroup):
    """The application: its usage errors are safe to print."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Parse the options that stand before a command."""
        with _printable_usage_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; escape what its usage errors repeat of the command line."""
        with _printable_usage_errors():
            return super().invoke(ctx)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters; the help of a flag shows no type."""
        return _plain_flags(super().get_params(ctx))


@contextmanager
def _printable_usage_errors() -> Iterator[None]:
    """Escape what a usage error repeats of the command line."""
    try:
        yield
    except _USAGE_ERROR as error:
        error.message = escaped(error.message)  # type: ignore[attr-defined]
        raise


def _plain_flags(params: list[Any]) -> list[Any]:
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params


def _takes_one_value(param: Any) -> bool:
    return param.param_type_name == "option" and not param.is_flag and not param.multiple


app: typer.Typer = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
    help="Decide, through Open Policy Agent, what the `policy` claim of a JWT lets its bearer access.",
    epilog="First steps: [bold]jwt-bridge demo[/bold]",
)


def register(command: Callable[..., None]) -> None:
    """Register a function as a command; its docstring is the help, with the examples at its end."""
    text, _, examples = inspect.cleandoc(command.__doc__ or "").partition(_EXAMPLES)

    class CommandWithExamples(Command):
        pass

    CommandWithExamples.examples = inspect.cleandoc(examples)
    # Typer would keep the line breaks of the source.
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    app.command(command.__name__.strip("_"), help="\n\n".join(paragraphs), cls=CommandWithExamples)(
        with_options(command)
    )


def _print_version(requested: bool) -> None:  # noqa: FBT001 - typer's way of calling back
    if requested:
        typer.echo(f"jwt-bridge {version('jwt-policy-bridge')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""
