"""Names in URL paths.

Only simple names go into paths, never a caller's data: OPA reads `/data/x/007` as the key `7`, and a resource's id may
hold any character.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from bridge.errors import UsageError
from bridge.escapes import printable

# No name of these needs percent-encoding, and none looks like a number.
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{,199}")
_DOTS: Final = {".": "%2E", "..": "%2E%2E"}
_POLICY_PART: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{,199}")


def data_path(names: Sequence[str], *, root: bool = False) -> str:
    """Return the path of a document, such as `/v1/data/jwt_policy/allow` for `("jwt_policy", "allow")`.

    Args:
        names: The names from the root down; letters, digits, `_` and `-`, no digit or `-` first.
        root: Allow a path of no names.

    Raises:
        UsageError: A name is not simple, the path is a plain string, or it is the root where that is not allowed.
    """
    if isinstance(names, str):
        raise UsageError("a path is a sequence of names, not a string")
    if not names and not root:
        raise UsageError("a path of no names is the root of all documents, which is not for this call")
    for name in names:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise UsageError(f"`{printable(str(name), 80)}` is no simple name for a path")
    return "/".join(("/v1/data", *names))


def data_reference(path: Sequence[str]) -> str:
    """Return the reference to a document in Rego; the path is as for `data_path`."""
    data_path(path)
    return "data" + "".join(f"[{json.dumps(name)}]" for name in path)


def policy_path(policy_id: str) -> str:
    """Return the path of a module, such as `/v1/policies/jwt_policy/decision.rego`.

    Args:
        policy_id: Simple names, dots allowed inside, joined by `/`.

    Raises:
        UsageError: The id is anything else.
    """
    if not isinstance(policy_id, str) or not all(map(_POLICY_PART.fullmatch, policy_id.split("/"))):
        raise UsageError(f"`{printable(str(policy_id), 80)}` is no simple policy id")
    return f"/v1/policies/{policy_id}"


def quoted_path(kind: str, names: Sequence[str]) -> str:
    """Return the path of a document or a module of others, with any characters in its names, to delete it.

    Args:
        kind: `data` or `policies`.
        names: The names from the root down, each percent-encoded whole; a policy id is one name.

    Raises:
        UsageError: A name is empty, or has an unpaired surrogate.
    """
    try:
        # Servers resolve `.` and `..` to another path, unless the dots are encoded.
        parts = [_DOTS.get(name) or quote(name, safe="") for name in names]
    except UnicodeEncodeError:
        raise UsageError("a name with an unpaired surrogate cannot stand in a path") from None
    if not parts or not all(parts):
        raise UsageError("an empty name cannot stand in a path: remove the document that has it by hand")
    return "/".join((f"/v1/{kind}", *parts))
