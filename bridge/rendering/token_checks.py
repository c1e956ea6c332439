"""The verification of raw tokens by the rules, in OPA itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.errors import ConfigurationError, UnknownKeyError
from bridge.escapes import quoted, quoted_setting
from bridge.strict_json.scanner import SURROGATE
from bridge.tokens import StaticKey, TokenVerifier, VerificationKey
from bridge.tokens.jwk import KeySet, document_from, kid_of
from bridge.tokens.keys import UnusableKeyError

ALGORITHMS: Final = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
)
_NOT_IN_OPA: Final = "Ed448"


@dataclass(frozen=True, slots=True)
class TokenChecks:
    """The settings of OPA's verification of raw tokens (`io.jwt.decode_verify`); it has no leeway and requires `exp`.

    Attributes:
        keys: A public key in PEM, or the text of a JWKS, in which the `kid` of a token chooses the key. Everyone who
            may read OPA's policies can read the rules, so secrets and private keys are refused. So are weak keys, and
            certificates, whose dates OPA would not check. The rules leave out the refused keys of a JWKS, so tokens
            that name them are invalid; at least one key must remain.
        algorithms: The accepted algorithms; asymmetric ones only. With a PEM, all of them must fit its key.
        audience: The accepted audiences, one of which `aud` must contain; empty if a token must have no `aud`.
        issuer: The required `iss`, or None if `iss` may be anything.
        required: Claims that a token must have besides `exp`.

    Raises:
        ConfigurationError: A setting cannot be rendered.
    """

    keys: str
    algorithms: tuple[str, ...] = ("RS256",)
    audience: tuple[str, ...] = ()
    issuer: str | None = None
    required: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for texts in (self.algorithms, self.audience, self.required):
            if type(texts) is not tuple or not all(type(text) is str and text for text in texts):
                raise ConfigurationError(
                    "the algorithms, the audience and the required claims must be tuples of strings"
                )
        if not self.algorithms or not ALGORITHMS.issuperset(self.algorithms):
            raise ConfigurationError("the algorithms must be some of " + ", ".join(sorted(ALGORITHMS)))
        if self.issuer is not None and (type(self.issuer) is not str or not self.issuer):
            raise ConfigurationError("the issuer must be a string that is not empty, or None")
        for text in (*self.audience, *self.required, self.issuer or ""):
            if SURROGATE.search(text):
                raise ConfigurationError(
                    f"the audience, the issuer or a required claim has an unpaired surrogate: {quoted_setting(text)}"
                )
        if type(self.keys) is not str:
            raise ConfigurationError("the keys must be the text of a PEM file or of a JWKS")
        self.split()

    def split(self) -> tuple[str, Mapping[str, Mapping[str, object]]]:
        """Return the one key in PEM and no others, or an empty text and the keys of a JWKS by `kid`.

        Each of the latter has its PEM (`cert`), and the accepted `algorithms` that fit it: with a JWK, OPA would accept
        every algorithm of its family, whatever its `alg` says.
        """
        keys = self._keys()
        if isinstance(keys, StaticKey):
            return _pem(keys.key), {}
        return "", {
            kid: {"algorithms": [name for name in self.algorithms if name in key.algorithms], "cert": _pem(key)}
            for kid, key in keys.items()
        }

    def verifier(self, like: TokenVerifier) -> TokenVerifier:
        """Return a verifier with the demands of the rules, and with the clock and the leeway of another verifier."""
        keys = self._keys()
        return like.derive(
            keys if isinstance(keys, StaticKey) else _KeysOfRules(keys),
            algorithms=self.algorithms,
            audience=self.audience,
            issuer=self.issuer,
            required=self.required,
        )

    def _keys(self) -> StaticKey | Mapping[str, VerificationKey]:
        """Return the key of a PEM, or the keys of a JWKS that the rules contain, by `kid`."""
        text = self.keys.strip()
        if not text.startswith("{"):
            static = StaticKey.from_pem(text)
            static.check(self.algorithms)
            if not _is_for_opa(static.key):
                raise ConfigurationError(
                    f"the key is an {static.key.kind} key, which OPA does not support: use another one, such as Ed25519"
                )
            return static
        try:
            jwks = KeySet.of(document_from(text), published=True).keys
        except UnusableKeyError as error:
            raise ConfigurationError(f"the keys: {error}") from None
        keys = {
            kid: key
            for kid, key in jwks.items()
            if isinstance(key, VerificationKey)
            and _is_for_opa(key)
            and any(name in key.algorithms for name in self.algorithms)
        }
        if not keys:
            why = "; ".join(f"`{kid}`: {key}" for kid, key in jwks.items() if isinstance(key, str))
            raise ConfigurationError(
                f"the JWKS has no key with a `kid` for these algorithms{f' ({why})' if why else ''}: add one"
            )
        return keys


@dataclass(frozen=True, slots=True)
class _KeysOfRules:
    """The keys in the rules, as a source."""

    keys: Mapping[str, VerificationKey]

    def check(self, algorithms: Sequence[str]) -> None:
        """Accept the algorithms, because each key fits at least one of them."""

    def key_for(self, kid: str | None) -> VerificationKey:
        name = kid_of(kid)
        if name not in self.keys:
            raise UnknownKeyError(f"they have no key for the `kid` {quoted(name)}: install them with the new keys")
        return self.keys[name]


def _is_for_opa(key: VerificationKey) -> bool:
    return key.kind != _NOT_IN_OPA


def _pem(key: VerificationKey) -> str:
    """Return the key in the one form of PEM that OPA reads."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415 - slow to import

    assert not isinstance(key.material, bytes)  # neither a PEM nor a published set has a secret
    return key.material.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
