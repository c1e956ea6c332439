"""Tokens that may be given to OPA as they are."""

from __future__ import annotations

from typing import Final

from bridge.strict_json import are_canonical, parse
from bridge.tokens import base64url

_UNDERSTOOD: Final = frozenset(("alg", "kid", "typ"))


def may_be_sent_raw(token: str) -> bool:
    """Whether OPA, which decodes the token by itself, reads it as the bridge does.

    Nobody can rewrite the numbers of a signed payload, so each must be in canonical text already: see SEMANTICS, "What
    OPA does to numbers and strings". All of them are looked at, not the policy's alone: that is simpler, and a token
    whose other numbers are odd is still decided, by its verified claims. So is one whose header has more than the
    three members that OPA takes no other way (`cty` makes it look for a token inside the token).

    Args:
        token: A token that `TokenVerifier.verify` has accepted.
    """
    head, payload, _ = (base64url.decode(segment) for segment in token.split("."))
    header = parse(head)
    assert isinstance(header, dict)
    if not header.keys() <= _UNDERSTOOD or not all(isinstance(value, str) for value in header.values()):
        return False
    return are_canonical(payload.decode("utf-8"))
