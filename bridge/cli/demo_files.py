"""What the demo leaves in a folder, to try the other commands with."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Final

from bridge.cli.demo_data import ITS_DEVICE, RESOURCES
from bridge.errors import MalformedInputError
from bridge.escapes import escaped
from bridge.strict_json import parse
from bridge.tokens import base64url

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_KEY: Final = "public.pem"
_TOKEN: Final = "agent.jwt"  # noqa: S105 - a file's name
_DEVICE: Final = "device.json"
_FILES: Final = {type_: f"{type_}.jsonl" for type_ in RESOURCES}
_OMIT: Final = "--omit notification_token"
_OPA: Final = "--opa-url http://127.0.0.1:8181"
# A PEM text may have anything before its first line; here it tells our key from one that matters.
_MADE_BY: Final = b"jwt-bridge demo made this key and threw its private half away.\n"


def files(folder: Path, pem: bytes, token: str, tokens: Iterable[str]) -> dict[Path, bytes]:
    """What is to be written.

    Args:
        folder: Where.
        pem: The public key.
        token: The token of `sample.SPARE`.
        tokens: The tokens of `sample.EXAMPLES`.
    """
    found = {_KEY: _MADE_BY + pem, _TOKEN: token.encode()}
    found |= {f"agent-{number}.jwt": text.encode() for number, text in enumerate(tokens, 1)}
    found[_DEVICE] = _lines([ITS_DEVICE])
    found[_FILES["devices"]] = _lines([ITS_DEVICE, *RESOURCES["devices"]])
    found[_FILES["sessions"]] = _lines(RESOURCES["sessions"])
    return {folder / name: data for name, data in found.items()}


def is_earlier(there: bytes, new: bytes) -> bool:
    """Whether a file that is there is one that an earlier run left: our key, a token that says the same, or a copy."""
    if new.startswith(_MADE_BY):
        return there.startswith(_MADE_BY)
    return there == new or (_says(there) is not None and _says(there) == _says(new))


def told(folder: Path, *, audience: str, issuer: str, hours: int) -> list[str]:
    """What to try with the files, line by line."""
    key, token, device, devices, sessions = (
        escaped(shlex.quote(str(folder / name)))
        for name in (_KEY, _TOKEN, _DEVICE, _FILES["devices"], _FILES["sessions"])
    )
    check = f"jwt-bridge check --token-file {token} --key {key}"
    wanted = f"--audience {audience} --issuer {issuer}"
    text = f"""\
To try the other commands with, there are now a public key, tokens that are
valid for {hours} hours, devices and sessions:

  {check} \\
    {wanted} --type devices \\
    --resource {device}

An OPA with the rules and all of them, where there is an `opa`:

  jwt-bridge serve --devices {devices} --sessions {sessions} \\
    {_OMIT}

And, in another terminal, while it runs (--omit keeps secrets out of the OPA):

  jwt-bridge push --type devices {devices} \\
    {_OMIT} {_OPA}
  {check} \\
    {wanted} --type devices --id {ITS_DEVICE["id"]} \\
    --engine opa {_OPA}"""
    return text.split("\n")


def _lines(resources: Sequence[object]) -> bytes:
    return b"".join(json.dumps(resource).encode() + b"\n" for resource in resources)


def _says(token: bytes) -> object:
    """The claims of a token but for its times, unverified; None where it is none."""
    parts = token.strip().split(b".")
    try:
        claims = parse(base64url.decode(parts[1].decode("ascii")))
    except (IndexError, UnicodeDecodeError, base64url.Base64urlError, MalformedInputError):
        return None
    return {name: claims[name] for name in claims.keys() - {"iat", "exp"}} if isinstance(claims, dict) else None
