"""One key that verifies signatures, and the algorithms that it may be used with."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import InvalidKeyError

from bridge.process_bound import ProcessBound
from bridge.tokens.algorithms import PRIVATE_KEY, UnusableKeyError, fitting
from bridge.tokens.wording import quoted
from bridge.tokens.wrong_format import SSH, der_kind, instead_of_pem

if TYPE_CHECKING:
    from bridge.tokens.algorithms import Material

_PEM_LABEL: Final = re.compile(r"-----BEGIN ([^-\r\n]+)-----")
_PUBLIC_LABELS: Final = ("PUBLIC KEY", "RSA PUBLIC KEY")
_ARMOURED: Final = re.compile(rb"---- ?BEGIN ")


@dataclass(frozen=True, slots=True, eq=False)
class VerificationKey(ProcessBound):
    """A key that was found strong enough, made by `of`.

    Attributes:
        material: The public key, or the secret; never shown.
        kind: What it is, in words, such as `RSA 2048 bits`.
        algorithms: The `alg` names that it may verify; a token of another one is refused.
    """

    material: Material = field(repr=False)
    kind: str
    algorithms: tuple[str, ...]

    @classmethod
    def of(cls, material: object, *, only: str | None = None) -> VerificationKey:
        """The key for `material`.

        Args:
            material: A public key of `cryptography`, or the bytes of an HMAC secret.
            only: The one algorithm that the key is for, as a JWK's `alg` says, or None for all that fit.

        Raises:
            UnusableKeyError: It is weak, private, of no supported kind, a public key dressed up as a secret, or not for
                `only`.
        """
        kind, algorithms = fitting(material)
        if isinstance(material, bytes):
            _refuse_public_key_as_secret(material)
        if only is not None:
            if only not in algorithms:
                raise UnusableKeyError(f"its `alg` {quoted(only)} is none that the key ({kind}) is fit for")
            algorithms = (only,)
        return cls(cast("Material", material), kind, algorithms)


def material_from_pem(text: str | bytes) -> object:
    """The public key in a PEM text, of whatever kind.

    A certificate is refused, for it has dates and an issuer that nobody here would check.

    Raises:
        UnusableKeyError: The text is not exactly one PEM public key.
    """
    given = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    try:
        text = text.decode("ascii") if isinstance(text, bytes) else text
        data = text.encode("ascii")
    except UnicodeError:
        raise UnusableKeyError(f"no PEM text: {instead_of_pem(given) or 'it is not ASCII'}") from None
    labels = _PEM_LABEL.findall(text)
    if any("PRIVATE" in label for label in labels):
        raise UnusableKeyError(PRIVATE_KEY)
    if any("CERTIFICATE" in label for label in labels):
        raise UnusableKeyError(
            "a certificate, whose dates nobody would check; "
            "give its public key (`openssl x509 -in FILE -pubkey -noout`)"
        )
    if not labels:
        found = instead_of_pem(given) or "it has no line `-----BEGIN PUBLIC KEY-----`"
        raise UnusableKeyError(f"no PEM text of a public key: {found}")
    label, *others = labels
    if others:
        raise UnusableKeyError(
            f"no PEM text of one public key: {len(labels)} PEM blocks are in it;"
            " leave only that of the public key, or give several keys as a set (JWKS)"
        )
    if label not in _PUBLIC_LABELS:
        raise UnusableKeyError(f"no PEM text of a public key: it holds a {quoted(label)}, not a `PUBLIC KEY`")
    try:
        return load_pem_public_key(data)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        why = (
            r"its lines end in `\n`, a backslash and a letter: put line feeds there"
            if "\\n" in text
            else "is it whole?"
        )
        raise UnusableKeyError(f"a PEM text that no public key can be read from; {why}") from None


def _refuse_public_key_as_secret(secret: bytes) -> None:
    """Refuse what anybody may know; with it as a secret, everybody who can read the public key could sign."""
    refusal = UnusableKeyError(
        "an HMAC secret that is the text of a key or a certificate, not a secret; give a public key as such"
    )
    if _ARMOURED.search(secret) or SSH.search(secret):
        raise refusal
    try:
        # a PEM body on one line, without its armour, is how some issuers show their public key
        if der_kind(base64.b64decode(b"".join(secret.split()), validate=True)):
            raise refusal
    except binascii.Error:
        pass
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)  # knows DER and JWK texts
    except InvalidKeyError:
        raise refusal from None
