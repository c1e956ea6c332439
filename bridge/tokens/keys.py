"""Keys that verify signatures, and the algorithms of each: the key decides the family.

ES256K is not supported: its curve is not a NIST curve, few issuers use it, and nobody can confuse it with ES256.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, cast

from bridge.errors import ConfigurationError
from bridge.escapes import quoted
from bridge.process_bound import ProcessBound
from bridge.tokens.wrong_format import SSH, der_kind, instead_of_pem

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey


class PublicKey(Protocol):
    """A public key object of `cryptography`, which takes long to import and so is not named here."""

    def public_bytes(self, encoding: Any, format: Any) -> bytes:  # noqa: A002 - the name in `cryptography`
        """Return the key in an encoding and a format of `cryptography`."""


Material: TypeAlias = PublicKey | bytes
"""The part of a key that verifies: a public key, or the bytes of an HMAC secret."""

MIN_RSA_BITS: Final = 2048
_MAX_RSA_BITS: Final = 16_384  # OpenSSL verifies nothing beyond it
_MIN_RSA_EXPONENT: Final = 3  # RFC 8017, 3.1

_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES: Final = {"secp256r1": ("P-256", "ES256"), "secp384r1": ("P-384", "ES384"), "secp521r1": ("P-521", "ES512")}
_HASH_BYTES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}

_PRIVATE_KEY: Final = (
    "a private key, and tokens are verified with public keys; "
    "give its public key (`openssl pkey -in FILE -pubout`) and keep the private one secret"
)
_PEM_LABEL: Final = re.compile(r"-----BEGIN ([^-\r\n]+)-----")
_PUBLIC_LABELS: Final = ("PUBLIC KEY", "RSA PUBLIC KEY")
_ARMOURED: Final = re.compile(rb"---- ?BEGIN ")

SYMMETRIC: Final = frozenset(_HASH_BYTES)
"""The algorithms whose key is a secret."""

SUPPORTED: Final = (*_RSA, *(name for _, name in _CURVES.values()), "EdDSA", *_HASH_BYTES)
"""Every supported algorithm, by its `alg` name (RFC 7518, RFC 8037)."""


class UnusableKeyError(ValueError):
    """A key, or a set of keys, that must not be used; the message is the cause and holds no secret."""


@dataclass(frozen=True, slots=True, eq=False)
class VerificationKey(ProcessBound):
    """A key that is strong enough; `of` makes it.

    Attributes:
        material: The public key, or the secret; never shown.
        kind: The kind of key in words, such as `RSA 2048 bits`.
        algorithms: The `alg` names that the key may verify; a token with another one is refused.
    """

    material: Material = field(repr=False)
    kind: str
    algorithms: tuple[str, ...]

    @classmethod
    def of(cls, material: object, *, only: str | None = None) -> VerificationKey:
        """Return the key for a public key or a secret.

        Args:
            material: A public key of `cryptography`, or the bytes of an HMAC secret.
            only: The one algorithm of the key, as a JWK's `alg` says, or None for all that fit.

        Raises:
            UnusableKeyError: It is weak, private, of no supported kind, a public key in place of a secret, or not for
                `only`.
        """
        kind, algorithms = kind_and_algorithms(material)
        if isinstance(material, bytes):
            _refuse_public_key_as_secret(material)
        if only is not None:
            if only not in algorithms:
                raise UnusableKeyError(f"its `alg` {quoted(only)} does not fit the key ({kind})")
            algorithms = (only,)
        return cls(cast("Material", material), kind, algorithms)


def checked_algorithms(names: Iterable[str]) -> tuple[str, ...]:
    """Return the setting `algorithms`, checked, each name once.

    Raises:
        ConfigurationError: It is empty or a bare string, or it has `none` or a name that is not supported.
    """
    if isinstance(names, str | bytes):
        raise ConfigurationError('algorithms: give a sequence of names, such as `("RS256",)`, not a bare string')
    try:
        unique = tuple(dict.fromkeys(names))
    except TypeError:
        raise ConfigurationError('algorithms: give a sequence of names, such as `("RS256",)`') from None
    if not unique:
        raise ConfigurationError("algorithms: give at least one")
    for name in unique:
        if not isinstance(name, str):
            raise ConfigurationError("algorithms: each name must be a string")
        if name.lower() == "none":
            raise ConfigurationError("algorithms: `none` is never accepted, because an unsigned token proves nothing")
        if name not in SUPPORTED:
            raise ConfigurationError(f"algorithms: {quoted(name)} is not supported; use some of {', '.join(SUPPORTED)}")
    return unique


def kind_and_algorithms(material: object) -> tuple[str, tuple[str, ...]]:
    """Return the kind of a key in words, and the algorithms that it is made for and strong enough for.

    Raises:
        UnusableKeyError: The key is too weak, private, or of a kind that no supported algorithm has.
    """
    if isinstance(material, bytes):
        names = tuple(name for name, size in _HASH_BYTES.items() if len(material) >= size)
        if not names:
            shortest = min(_HASH_BYTES.values())
            raise UnusableKeyError(
                f"an HMAC secret under {shortest} bytes, which is shorter than its hash; give a longer one"
            )
        return "HMAC secret", names
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415

    if isinstance(material, RSAPublicKey):
        return _of_rsa(material)
    if isinstance(material, EllipticCurvePublicKey):
        if material.curve.name not in _CURVES:
            raise UnusableKeyError(
                f"an elliptic curve that no supported algorithm has: {quoted(material.curve.name)}; use P-256"
            )
        curve, name = _CURVES[material.curve.name]
        return f"EC {curve}", (name,)
    if isinstance(material, Ed25519PublicKey):
        return "Ed25519", ("EdDSA",)
    if isinstance(material, Ed448PublicKey):
        return "Ed448", ("EdDSA",)
    if hasattr(material, "private_bytes"):
        raise UnusableKeyError(_PRIVATE_KEY)
    raise UnusableKeyError(
        f"not a key of a supported algorithm: {quoted(type(material).__name__)}; give an RSA, EC or Ed25519 public key"
    )


def _of_rsa(key: RSAPublicKey) -> tuple[str, tuple[str, ...]]:
    if key.key_size < MIN_RSA_BITS:
        raise UnusableKeyError(f"an RSA key of {key.key_size} bits, under {MIN_RSA_BITS}; sign with a longer one")
    if key.key_size > _MAX_RSA_BITS:
        raise UnusableKeyError(f"an RSA key of {key.key_size} bits, over {_MAX_RSA_BITS}; sign with a shorter one")
    exponent = key.public_numbers().e
    if exponent < _MIN_RSA_EXPONENT or exponent % 2 == 0:  # cryptography 45 loads such keys from PEM
        raise UnusableKeyError(
            f"an RSA key with the public exponent {exponent}, with which anybody can sign; make a new key pair"
        )
    return f"RSA {key.key_size} bits", _RSA


def material_from_pem(text: str | bytes) -> object:
    """Return the public key in a PEM text, of any kind.

    A certificate is refused, because the verifier does not check its dates and its issuer.

    Raises:
        UnusableKeyError: The text is not exactly one PEM public key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    try:
        text = text.decode("ascii") if isinstance(text, bytes) else text
        data = text.encode("ascii")
    except UnicodeError:
        raise UnusableKeyError(f"not a PEM text: {instead_of_pem(raw) or 'it is not ASCII'}") from None
    labels = _PEM_LABEL.findall(text)
    if any("PRIVATE" in label for label in labels):
        raise UnusableKeyError(_PRIVATE_KEY)
    if any("CERTIFICATE" in label for label in labels):
        raise UnusableKeyError(
            "a certificate, whose dates the verifier would not check; "
            "give its public key (`openssl x509 -in FILE -pubkey -noout`)"
        )
    if not labels:
        format_remedy = instead_of_pem(raw) or "it has no line `-----BEGIN PUBLIC KEY-----`"
        raise UnusableKeyError(f"not a PEM text of a public key: {format_remedy}")
    label, *others = labels
    if others:
        raise UnusableKeyError(
            f"not a PEM text of one public key: it has {len(labels)} PEM blocks;"
            " leave only the public key, or give several keys as a set (JWKS)"
        )
    if label not in _PUBLIC_LABELS:
        raise UnusableKeyError(f"not a PEM text of a public key: it has a {quoted(label)}, not a `PUBLIC KEY`")
    try:
        return load_pem_public_key(data)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        why = (
            r"its lines end in `\n`, a backslash and a letter: write line feeds instead"
            if "\\n" in text
            else "is it whole?"
        )
        raise UnusableKeyError(f"a PEM text without a readable public key; {why}") from None


def _refuse_public_key_as_secret(secret: bytes) -> None:
    """Refuse a public text as a secret: everyone who can read the public key could sign with it."""
    from jwt.algorithms import HMACAlgorithm  # noqa: PLC0415 - PyJWT imports cryptography
    from jwt.exceptions import InvalidKeyError  # noqa: PLC0415

    refusal = UnusableKeyError(
        "an HMAC secret that is the text of a key or a certificate, not a secret; give a public key as a public key"
    )
    if _ARMOURED.search(secret) or SSH.search(secret):
        raise refusal
    try:
        # some issuers show their public key as a PEM body on one line, without the BEGIN and END lines
        if der_kind(base64.b64decode(b"".join(secret.split()), validate=True)):
            raise refusal
    except binascii.Error:
        pass
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)  # recognizes DER and JWK texts
    except InvalidKeyError:
        raise refusal from None
