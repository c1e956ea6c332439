"""Tokens to verified claims (SEMANTICS, "Tokens").

`TokenVerifier` accepts a token only if one configured key has verified it. A `KeySource` finds the key: `StaticKey` is
one fixed key, `JwkSet` a fixed set, `JwksFile` a set in a file, `JwksUrl` a set behind a URL. A key inside a token
(`jwk`, `jku`, `x5c`, `x5u`) is never used.
"""

from bridge.tokens.jwks_file import JwksFile
from bridge.tokens.jwks_url import JwksUrl
from bridge.tokens.jws import may_be_sent_raw
from bridge.tokens.key_sources import JwkSet, KeySource, StaticKey
from bridge.tokens.keys import VerificationKey
from bridge.tokens.verifier import TokenVerifier

__all__ = [
    "JwkSet",
    "JwksFile",
    "JwksUrl",
    "KeySource",
    "StaticKey",
    "TokenVerifier",
    "VerificationKey",
    "may_be_sent_raw",
]
