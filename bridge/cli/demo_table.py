"""The demo's tables: 80 columns at most, readable without colours."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Final

from rich.text import Text

from bridge.cli.demo_data import EXAMPLES, RESOURCES
from bridge.cli.drawing import drawn
from bridge.cli.terminal import can_write
from bridge.decision import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bridge.decision import Decision

_WIDTH: Final = 80
_CELL: Final = 11
_LABEL: Final = _WIDTH - 1 - _CELL * len(EXAMPLES)
_MEANINGS: Final = (
    (True, "matched", Reason.MATCHED, "every constraint of the policy holds"),
    (False, "no grant", Reason.TYPE_NOT_GRANTED, "the policy does not describe this type"),
    (False, "differs", Reason.CONSTRAINT_FAILED, "a demanded value is another one here"),
    (False, "missing", Reason.CONSTRAINT_FAILED, "a demanded value is not here at all"),
)
_WORDS: Final[dict[Reason, str]] = {Reason.MATCHED: "matched", Reason.TYPE_NOT_GRANTED: "no grant"}
_FAILURES: Final = {"different": "differs"}


def policies() -> str:
    """The tokens and their policies."""
    lines = []
    for number, example in enumerate(EXAMPLES, 1):
        lines.append(Text.assemble(f" {number}  ", (f"{example.agent:<18}", "bold"), f"  {example.title}"))
        text = json.dumps(example.policy)
        indent = " " * 4
        wrapped = textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
        lines += [Text(line, style="dim") for line in wrapped]
    return drawn(lines)


def matrix(decisions: Mapping[str, Sequence[Sequence[Decision]]]) -> str:
    """What the marks mean, and then a row for each resource and a column for each token.

    Args:
        decisions: By resource type: a row for each resource, with a decision for each token.
    """
    lines = [
        Text.assemble("  ", _mark(allow, word), f"{reason!s:<19}{meaning}")
        for allow, word, reason, meaning in _MEANINGS
    ]
    lines.append(Text())
    for type_, rows in decisions.items():
        heads = [f"{number} {example.agent.partition('@')[0]}" for number, example in enumerate(EXAMPLES, 1)]
        lines.append(Text(_row(f" {type_}", heads), style="bold"))
        lines.append(Text(" " + ("─" if can_write("─") else "-") * (_WIDTH - 2), style="dim"))
        for resource, row in zip(RESOURCES[type_], rows, strict=True):
            cells = [_mark(decision.allow, _word(decision)) for decision in row]
            lines.append(Text.assemble(f" {resource['id']!s:<{_LABEL - 1}}", *cells))
            lines.append(Text(_data(resource), style="dim"))
        lines.append(Text())
    return drawn(lines)


def _row(label: str, cells: Iterable[str]) -> str:
    return f"{label:<{_LABEL}}" + "".join(f"{cell:<{_CELL}}" for cell in cells)


def _data(resource: Mapping[str, object]) -> str:
    custom_data = resource.get("custom_data")
    if not isinstance(custom_data, dict):
        return "   no custom_data"
    return "  " + "".join(f" {name}={json.dumps(value)}" for name, value in custom_data.items())


def _word(decision: Decision) -> str:
    if decision.failures:
        return _FAILURES.get(code := decision.failures[0].code, code)
    return _WORDS.get(decision.reason, str(decision.reason))


def _mark(allow: bool, word: str) -> tuple[str, str]:  # noqa: FBT001 - a value, not a switch
    yes, no = "✓✗" if can_write("✓✗") else "+-"
    return f"{f'{yes if allow else no} {word}':<{_CELL}}", "green" if allow else "red"
