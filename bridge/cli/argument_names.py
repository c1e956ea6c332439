"""How commands are typed and how their help reads, where typer's own way will not do."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

from typer import BadParameter
from typer.core import TyperCommand, TyperGroup

from bridge.escapes import escaped

if TYPE_CHECKING:
    from collections.abc import Iterator

_INDENT: Final = "  "
_USAGE_ERROR = cast(
    "type[Exception]", BadParameter.__mro__[1]
)  # typer shows no other way to the base of what it raises


class Command(TyperCommand):
    """A command whose help ends with examples, no line of which is ever wrapped, so that they can be pasted.

    An option that takes one value is given once: of two keys or two audiences the first one would silently not count.
    """

    examples: str = ""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, of which a flag shows no type."""
        return _plain_flags(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line, and refuse what would not count."""
        given = list(args)
        rest: list[str] = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:
            _, _, order = self.make_parser(ctx).parse_args(args=given)
            for param in order:
                if _takes_one_value(param) and order.count(param) > 1:
                    ctx.fail(f"{param.opts[0]} is given more than once")
        return rest

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, and the examples as they are."""
        super().format_help(ctx, formatter)
        if self.examples:
            lines = [_INDENT + line if line else "" for line in self.examples.split("\n")]
            formatter.write("\n".join(["Examples:", *lines]) + "\n")


class Group(TyperGroup):
    """The application."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read what stands before a command."""
        with _printable_mistakes():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what is told of a mistake in its options is fit for a terminal."""
        with _printable_mistakes():
            return super().invoke(ctx)

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, of which a flag shows no type."""
        return _plain_flags(super().get_params(ctx))


@contextmanager
def _printable_mistakes() -> Iterator[None]:
    """Escape what was typed where it is repeated in an error of usage."""
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
