"""Tokens that may be given to OPA as they are."""

from __future__ import annotations

from bridge.strict_json import are_canonical
from bridge.tokens import base64url


def may_be_sent_raw(token: str) -> bool:
    """Whether OPA, which decodes the token by itself, reads the same numbers in it as the bridge.

    Nobody can rewrite the numbers of a signed payload, so each must be in canonical text already: see SEMANTICS, "What
    OPA does to numbers and strings". All of them are looked at, not the policy's alone: that is simpler, and a token
    whose other numbers are odd is still decided, by its verified claims.

    Args:
        token: A token that `TokenVerifier.verify` has accepted.
    """
    return are_canonical(base64url.decode(token.split(".")[1]).decode("utf-8"))
