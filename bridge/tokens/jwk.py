"""JSON Web Keys (RFC 7517, RFC 7518 section 6, RFC 8037)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from bridge.errors import MalformedInputError
from bridge.strict_json import encode, parse
from bridge.tokens import base64url
from bridge.tokens.algorithms import UnusableKeyError
from bridge.tokens.keys import VerificationKey
from bridge.tokens.wording import quoted
from bridge.tokens.wrong_format import instead_of_jwks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.strict_json import Value

    Jwk: TypeAlias = dict[str, Value]

_PRIVATE_MEMBERS: Final = ("d", "p", "q", "dp", "dq", "qi", "oth")
_CURVES: Final = {"P-256": (SECP256R1, 32), "P-384": (SECP384R1, 48), "P-521": (SECP521R1, 66)}
_OKP: Final[dict[str, Callable[[bytes], object]]] = {
    "Ed25519": Ed25519PublicKey.from_public_bytes,
    "Ed448": Ed448PublicKey.from_public_bytes,
}


_BROKEN: Final = {
    "R12.2": ": an object has two members of one name",
    "R12.3": ": a string has an unpaired surrogate",
    "R12.4": ": it is nested too deep",
    "R12.5": ": a number has too many digits, or is too large or too small",
}


def document_from(jwk: str | bytes | Mapping[str, object]) -> Value:
    """A JWK or a set of them, given as JSON text or as an object, as a strict JSON value (R12).

    Raises:
        UnusableKeyError: It breaks R12. The cause is told by its rule and place only, as the text may hold a secret.
    """
    try:
        return parse(jwk if isinstance(jwk, str | bytes) else encode(jwk))
    except MalformedInputError as error:
        data = jwk.encode("utf-8", "surrogatepass") if isinstance(jwk, str) else jwk
        if isinstance(data, bytes) and (found := instead_of_jwks(data)):
            raise UnusableKeyError(f"no JSON: {found}") from None
        place = f", line {error.line}, column {error.column}" if error.line is not None else ""
        why = _BROKEN.get(error.rule, "")
        raise UnusableKeyError(f"the JSON is not well-formed ({error.rule}{place}){why}") from None


def key_from_jwk(jwk: Value) -> VerificationKey:
    """The key that a JWK, a JSON object, spells.

    A private JWK is refused rather than reduced to its public part: who publishes it has lost it.

    Raises:
        UnusableKeyError: It is private, not for verifying signatures by its `use`, `key_ops` or `alg`, weak,
            malformed, or of a kind that is not supported.
    """
    if not isinstance(jwk, dict):
        raise UnusableKeyError("no JWK: it is not a JSON object")
    kty = _text(jwk, "kty")
    if kty not in _READERS:
        raise UnusableKeyError(f"its `kty` {quoted(kty)} is not supported")
    if kty != "oct" and any(name in jwk for name in _PRIVATE_MEMBERS):
        raise UnusableKeyError("it is a private key, so whoever holds the set could sign")
    if "use" in jwk and jwk["use"] != "sig":
        raise UnusableKeyError("its `use` is not `sig`")
    if "key_ops" in jwk:
        operations = jwk["key_ops"]
        if not isinstance(operations, list) or "verify" not in operations:
            raise UnusableKeyError("its `key_ops` do not hold `verify`")
    only = _text(jwk, "alg") if "alg" in jwk else None
    try:
        material = _READERS[kty](jwk)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise error if isinstance(error, UnusableKeyError) else UnusableKeyError("its numbers are no key") from None
    return VerificationKey.of(material, only=only)


def _rsa(jwk: Jwk) -> object:
    exponent, modulus = (int.from_bytes(_bytes(jwk, name), "big") for name in ("e", "n"))
    return RSAPublicNumbers(exponent, modulus).public_key()


def _ec(jwk: Jwk) -> object:
    name = _text(jwk, "crv")
    if name not in _CURVES:
        raise UnusableKeyError(f"its `crv` {quoted(name)} is not supported")
    curve, size = _CURVES[name]
    x, y = _bytes(jwk, "x"), _bytes(jwk, "y")
    if len(x) != size or len(y) != size:
        raise UnusableKeyError(f"its `x` and `y` are not {size} bytes each")
    return EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve()).public_key()


def _okp(jwk: Jwk) -> object:
    name = _text(jwk, "crv")
    if name not in _OKP:
        raise UnusableKeyError(f"its `crv` {quoted(name)} is not supported")
    return _OKP[name](_bytes(jwk, "x"))


def _oct(jwk: Jwk) -> object:
    return _bytes(jwk, "k")


_READERS: Final[dict[str, Callable[[Jwk], object]]] = {"RSA": _rsa, "EC": _ec, "OKP": _okp, "oct": _oct}


def _text(jwk: Jwk, name: str) -> str:
    value = jwk.get(name)
    if not isinstance(value, str):
        raise UnusableKeyError(f"its `{name}` is not there or no string")
    return value


def _bytes(jwk: Jwk, name: str) -> bytes:
    try:
        return base64url.decode(_text(jwk, name))
    except base64url.Base64urlError as error:
        raise UnusableKeyError(f"its `{name}` is no base64url: {error}") from None
