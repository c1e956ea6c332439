"""The outcome of the vectors: a row for each file, then each difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from bridge.cli.drawing import drawn
from bridge.escapes import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.conformance.runner import Report, Row

_HEADS: Final = ("cases", "passed", "differing", "not run")
_COLUMN: Final = 11
_SHOWN: Final = 2_000


def table(report: Report) -> str:
    """A row for each file, one for all of them, and why cases were not run."""
    width = max(len(name) for name in ("all", *(shown(row.file) for row in report.rows)))
    lines = [Text(f"{'file':<{width}}" + "".join(f"{head:>{_COLUMN}}" for head in _HEADS), style="bold")]
    lines += [_row(shown(row.file), row, width) for row in report.rows]
    lines.append(_row("all", report.total, width, style="bold"))
    if report.left_out:
        lines.append(Text())
    for why, times in report.left_out.most_common():
        lines.append(Text(f"{times:,} not run: {why}", style="yellow"))
    return drawn(lines).rstrip("\n")


def differences(report: Report) -> str:
    """Each difference: the case, its rules, what it wants, and what was given in which ways."""
    return drawn(_differences(report)).rstrip("\n")


def _differences(report: Report) -> Iterator[Text]:
    for difference in report.differences:
        yield Text.assemble(
            (shown(difference.name), "bold red"),
            f"  {shown(difference.file)}, {', '.join(difference.rules)}; asked by {', '.join(difference.strategies)}",
        )
        yield Text(f"  expected  {_cut(difference.expected)}")
        yield Text(f"  actual    {_cut(difference.actual)}")


def _row(name: str, row: Row, width: int, style: str = "") -> Text:
    line = Text(f"{name:<{width}}", style=style)
    colours = ("", "green", "red", "yellow")
    for number, colour in zip((row.cases, row.passed, row.differing, row.not_run), colours, strict=True):
        line.append(f"{number:>{_COLUMN},}", style=colour if number else "")
    return line


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
