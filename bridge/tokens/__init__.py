"""Tokens to verified claims (SEMANTICS, "Tokens").

`TokenVerifier` believes a token only when one key, found by configuration alone, has verified it. Where the key comes
from is a `KeySource`: one fixed key (`StaticKey`), a fixed set (`JwkSet`), a set in a file (`JwksFile`) or behind a
URL (`JwksUrl`). What a token brings along itself (`jwk`, `jku`, `x5c`, `x5u`) is never used as a key.
"""

from bridge.tokens.jwk_set import JwkSet
from bridge.tokens.jwks_file import JwksFile
from bridge.tokens.jwks_url import JwksUrl
from bridge.tokens.key_sources import KeySource, StaticKey
from bridge.tokens.keys import VerificationKey
from bridge.tokens.raw import may_be_sent_raw
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
