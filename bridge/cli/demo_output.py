"""The output of the demo: tables of at most 80 columns, readable without colours, and the files that it writes."""

from __future__ import annotations

import json
import shlex
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.text import Text

from bridge.cli.demo_data import EXAMPLES, RESOURCES, SPARE_DEVICE
from bridge.cli.terminal import can_write, styled_text
from bridge.decision import Decision, Reason
from bridge.errors import MalformedInputError
from bridge.escapes import escaped
from bridge.strict_json import parse
from bridge.tokens.jws import Base64urlError, decode_base64url

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
_KEY: Final = "public.pem"
_TOKEN: Final = "agent.jwt"  # noqa: S105 - a file's name
_DEVICE: Final = "device.json"
_FILES: Final = {type_: f"{type_}.jsonl" for type_ in RESOURCES}
_OMIT: Final = "--omit notification_token"
_OPA: Final = "--opa-url http://127.0.0.1:8181"
# A PEM text may have anything before its first line; this line distinguishes our key from one that matters.
_MADE_BY: Final = b"jwt-bridge demo made this key and threw its private half away.\n"


def policy_table() -> str:
    """Return the table of the tokens and their policies."""
    lines = []
    for number, example in enumerate(EXAMPLES, 1):
        lines.append(Text.assemble(f" {number}  ", (f"{example.agent:<18}", "bold"), f"  {example.title}"))
        text = json.dumps(example.policy)
        indent = " " * 4
        wrapped = textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
        lines += [Text(line, style="dim") for line in wrapped]
    return styled_text(lines)


def decision_table(decisions: Mapping[str, Sequence[Sequence[Decision]]]) -> str:
    """Return what the marks mean, then a table with a row for each resource and a column for each token.

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
    return styled_text(lines)


def files(folder: Path, pem: bytes, token: str, tokens: Iterable[str]) -> dict[Path, bytes]:
    """Return the files to write: their contents by path.

    Args:
        folder: The folder that they go to.
        pem: The public key.
        token: The token of `demo_data.SPARE`.
        tokens: The tokens of `demo_data.EXAMPLES`, in their order.
    """
    contents = {_KEY: _MADE_BY + pem, _TOKEN: token.encode()}
    contents |= {f"agent-{number}.jwt": text.encode() for number, text in enumerate(tokens, 1)}
    contents[_DEVICE] = _lines([SPARE_DEVICE])
    contents[_FILES["devices"]] = _lines([SPARE_DEVICE, *RESOURCES["devices"]])
    contents[_FILES["sessions"]] = _lines(RESOURCES["sessions"])
    return {folder / name: data for name, data in contents.items()}


def may_replace(existing: bytes, new: bytes) -> bool:
    """Return whether an earlier run wrote the existing file: our key, a token with the same claims, or a copy."""
    if new.startswith(_MADE_BY):
        return existing.startswith(_MADE_BY)
    return existing == new or (
        _lasting_claims(existing) is not None and _lasting_claims(existing) == _lasting_claims(new)
    )


def next_steps(folder: Path, *, audience: str, issuer: str, hours: int) -> list[str]:
    """Return lines of text that show commands to try the files with."""
    key, token, device, devices, sessions = (
        escaped(shlex.quote(str(folder / name)))
        for name in (_KEY, _TOKEN, _DEVICE, _FILES["devices"], _FILES["sessions"])
    )
    check = f"jwt-bridge check --token-file {token} --key {key}"
    options = f"--audience {audience} --issuer {issuer}"
    text = f"""\
The folder has a public key, tokens that are valid for {hours} hours, devices and
sessions. Try them with the other commands:

  {check} \\
    {options} --type devices \\
    --resource {device}

If you have an `opa`, run it with the rules and the resources:

  jwt-bridge serve --devices {devices} --sessions {sessions} \\
    {_OMIT}

And, in another terminal, while it runs (--omit keeps secrets out of the OPA):

  jwt-bridge push --type devices {devices} \\
    {_OMIT} {_OPA}
  {check} \\
    {options} --type devices --id {SPARE_DEVICE["id"]} \\
    --engine opa {_OPA}"""
    return text.split("\n")


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


def _lines(resources: Sequence[object]) -> bytes:
    return b"".join(json.dumps(resource).encode() + b"\n" for resource in resources)


def _lasting_claims(token: bytes) -> object:
    """Return the unverified claims of a token without its times; None if the text is no token."""
    parts = token.strip().split(b".")
    try:
        claims = parse(decode_base64url(parts[1].decode("ascii")))
    except (IndexError, UnicodeDecodeError, Base64urlError, MalformedInputError):
        return None
    return {name: claims[name] for name in claims.keys() - {"iat", "exp"}} if isinstance(claims, dict) else None
