"""The algorithms, and which of them a key is good for: the key decides the family.

ES256K is left out: its curve is no NIST curve, few issuers use it, and what is not there cannot be confused with ES256.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from bridge.errors import ConfigurationError
from bridge.tokens.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

Material: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey | bytes
"""What verifies a signature: a public key, or the bytes of an HMAC secret."""

MIN_RSA_BITS: Final = 2048
_MAX_RSA_BITS: Final = 16_384  # beyond it OpenSSL verifies nothing

_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES: Final = {"secp256r1": ("P-256", "ES256"), "secp384r1": ("P-384", "ES384"), "secp521r1": ("P-521", "ES512")}
_HASH_BYTES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}

PRIVATE_KEY: Final = (
    "a private key, which has no business where tokens are only verified; "
    "give its public key (`openssl pkey -in FILE -pubout`)"
)
"""Why a private key is refused."""

SYMMETRIC: Final = frozenset(_HASH_BYTES)
"""The algorithms whose key is a secret."""

SUPPORTED: Final = (*_RSA, *(name for _, name in _CURVES.values()), "EdDSA", *_HASH_BYTES)
"""Every algorithm that can be configured, by its `alg` name (RFC 7518, RFC 8037)."""


class UnusableKeyError(ValueError):
    """A key, or a set of keys, that must not be used; the message is the cause and holds nothing secret."""


def fitting(material: object) -> tuple[str, tuple[str, ...]]:
    """What kind of key `material` is, in words, and the algorithms that it is strong enough and made for.

    Raises:
        UnusableKeyError: It is too weak, private, or of a kind that no supported algorithm has.
    """
    if isinstance(material, bytes):
        names = tuple(name for name, size in _HASH_BYTES.items() if len(material) >= size)
        if not names:
            shortest = min(_HASH_BYTES.values())
            raise UnusableKeyError(
                f"an HMAC secret under {shortest} bytes, which is shorter than its hash; give one that is longer"
            )
        return "HMAC secret", names
    if isinstance(material, RSAPublicKey):
        return _fitting_rsa(material)
    if isinstance(material, EllipticCurvePublicKey):
        if material.curve.name not in _CURVES:
            raise UnusableKeyError(f"an elliptic curve that no supported algorithm has: {quoted(material.curve.name)}")
        curve, name = _CURVES[material.curve.name]
        return f"EC {curve}", (name,)
    if isinstance(material, Ed25519PublicKey):
        return "Ed25519", ("EdDSA",)
    if isinstance(material, Ed448PublicKey):
        return "Ed448", ("EdDSA",)
    if hasattr(material, "private_bytes"):
        raise UnusableKeyError(PRIVATE_KEY)
    raise UnusableKeyError(f"no key that a supported algorithm has: {quoted(type(material).__name__)}")


def _fitting_rsa(key: RSAPublicKey) -> tuple[str, tuple[str, ...]]:
    if key.key_size < MIN_RSA_BITS:
        raise UnusableKeyError(f"an RSA key of {key.key_size} bits, under {MIN_RSA_BITS}; sign with a longer one")
    if key.key_size > _MAX_RSA_BITS:
        raise UnusableKeyError(f"an RSA key of {key.key_size} bits, over {_MAX_RSA_BITS}")
    return f"RSA {key.key_size} bits", _RSA


def configured(names: Sequence[str]) -> tuple[str, ...]:
    """The setting `algorithms`, checked, each name once.

    Raises:
        ConfigurationError: Empty, a bare string, `none`, or a name that is not supported.
    """
    if isinstance(names, str | bytes):
        raise ConfigurationError('algorithms: a sequence of names is needed, such as `("RS256",)`, not a bare string')
    try:
        found = tuple(dict.fromkeys(names))
    except TypeError:
        raise ConfigurationError("algorithms: a sequence of names is needed") from None
    if not found:
        raise ConfigurationError("algorithms: at least one is needed")
    for name in found:
        if not isinstance(name, str):
            raise ConfigurationError("algorithms: each name must be a string")
        if name.lower() == "none":
            raise ConfigurationError("algorithms: `none` is never accepted, an unsigned token proves nothing")
        if name not in SUPPORTED:
            raise ConfigurationError(f"algorithms: {quoted(name)} is not supported, these are: {', '.join(SUPPORTED)}")
    return found
