"""The checks of raw tokens that a rule set can make in OPA itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bridge.errors import ConfigurationError, UnknownKeyError
from bridge.strict_json.scanner import SURROGATE
from bridge.tokens import StaticKey, VerificationKey
from bridge.tokens.algorithms import UnusableKeyError
from bridge.tokens.jwk import document_from
from bridge.tokens.jwk_set import KeySet, kid_of
from bridge.tokens.wording import quoted, setting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.tokens import TokenVerifier

ALGORITHMS: Final = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
)
_NOT_IN_OPA: Final = "Ed448"


@dataclass(frozen=True, slots=True)
class TokenChecks:
    """How OPA verifies a raw token (`io.jwt.decode_verify`); there is no leeway, and `exp` is required.

    Attributes:
        keys: A public key in PEM, or the text of a JWKS, whose keys are told apart by `kid`. The text of the rules can
            be read by whoever may read OPA's policies, so secrets and private keys are refused; so are weak keys, and
            certificates, whose dates OPA would not check. Keys of a JWKS that are refused are left out of the rules,
            and with them the tokens that name them; one at least must be left.
        algorithms: The algorithms allowed; asymmetric ones only. All of them must fit the key of a PEM.
        audience: The audiences, one of which `aud` must name; empty where a token must have no `aud`.
        issuer: What `iss` must be, or None where it is not looked at.
        required: Further claims that must be there.

    Raises:
        ConfigurationError: A setting that cannot be rendered.
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
                    f"the audience, the issuer or a required claim has an unpaired surrogate: {setting(text)}"
                )
        if type(self.keys) is not str:
            raise ConfigurationError("the keys must be the text of a PEM file or of a JWKS")
        self.split()

    def split(self) -> tuple[str, Mapping[str, Mapping[str, object]]]:
        """The one key in PEM and no others, or an empty text and the keys of a JWKS by `kid`.

        Each of the latter has its PEM (`cert`) and the `algorithms` that are both allowed and its own: OPA would verify
        with a JWK by any algorithm of its family, whatever its `alg` says.
        """
        found = self._keys()
        if isinstance(found, StaticKey):
            return _pem(found.key), {}
        return "", {
            kid: {"algorithms": [name for name in self.algorithms if name in key.algorithms], "cert": _pem(key)}
            for kid, key in found.items()
        }

    def verifier(self, like: TokenVerifier) -> TokenVerifier:
        """A verifier that demands what the rules demand, but has the clock and the leeway of another one."""
        found = self._keys()
        return like.alike(
            found if isinstance(found, StaticKey) else _KeysOfRules(found),
            algorithms=self.algorithms,
            audience=self.audience,
            issuer=self.issuer,
            required=self.required,
        )

    def _keys(self) -> StaticKey | Mapping[str, VerificationKey]:
        """The key of a PEM, or those keys of a JWKS that the rules hold, by `kid`."""
        text = self.keys.strip()
        if not text.startswith("{"):
            static = StaticKey.from_pem(text)
            static.check(self.algorithms)
            if not _is_for_opa(static.key):
                raise ConfigurationError(f"the key is an {static.key.kind} key, which OPA cannot verify with")
            return static
        try:
            found = KeySet.of(document_from(text), published=True).keys
        except UnusableKeyError as refused:
            raise ConfigurationError(f"the keys: {refused}") from None
        keys = {
            kid: key
            for kid, key in found.items()
            if isinstance(key, VerificationKey)
            and _is_for_opa(key)
            and any(name in key.algorithms for name in self.algorithms)
        }
        if not keys:
            why = "; ".join(f"`{kid}`: {key}" for kid, key in found.items() if isinstance(key, str))
            raise ConfigurationError(
                "the JWKS has no key with a `kid` for these algorithms" + (f" ({why})" if why else "")
            )
        return keys


@dataclass(frozen=True, slots=True)
class _KeysOfRules:
    """The keys that the rules hold, as a source."""

    keys: Mapping[str, VerificationKey]

    def check(self, algorithms: Sequence[str]) -> None:
        """Nothing to refuse: each key is for one of them at least."""

    def key_for(self, kid: str | None) -> VerificationKey:
        name = kid_of(kid)
        if name not in self.keys:
            raise UnknownKeyError(f"they hold no key for the `kid` {quoted(name)}")
        return self.keys[name]


def _is_for_opa(key: VerificationKey) -> bool:
    return key.kind != _NOT_IN_OPA


def _pem(key: VerificationKey) -> str:
    """The key in the one form of PEM that OPA reads."""
    assert not isinstance(key.material, bytes)  # neither a PEM nor a published set gives a secret
    return key.material.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
