"""The checks of raw tokens that a rule set can make in OPA itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.errors import InvalidSetting, MalformedInput
from bridge.strict_json import encode, parse

if TYPE_CHECKING:
    from bridge.strict_json import Value

ALGORITHMS: Final = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
)
_PUBLIC_KEY: Final = "-----BEGIN PUBLIC KEY-----"
_CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----"
_PRIVATE_MEMBERS: Final = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))
_FAMILIES: Final = {"RSA": ("RS", "PS"), "EC": ("ES",), "OKP": ("Ed",)}


@dataclass(frozen=True, slots=True)
class TokenChecks:
    """How OPA verifies a raw token (`io.jwt.decode_verify`); there is no leeway, and `exp` is required.

    Attributes:
        keys: A public key or a certificate in PEM, or the text of a JWKS. The text of the rules can be read by whoever
            may read OPA's policies, so secrets and private keys are refused.
        algorithms: The algorithms allowed; asymmetric ones only.
        audience: The audiences, one of which `aud` must name; empty where a token must have no `aud`.
        issuer: What `iss` must be, or None where it is not looked at.
        required: Further claims that must be there.

    Raises:
        InvalidSetting: A setting that cannot be rendered.
    """

    keys: str
    algorithms: tuple[str, ...] = ("RS256",)
    audience: tuple[str, ...] = ()
    issuer: str | None = None
    required: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.algorithms or not ALGORITHMS.issuperset(self.algorithms):
            raise InvalidSetting("the algorithms must be some of " + ", ".join(sorted(ALGORITHMS)))
        for texts in (self.audience, self.required):
            if type(texts) is not tuple or not all(type(text) is str and text for text in texts):
                raise InvalidSetting("the audience and the required claims must be tuples of strings")
        if type(self.keys) is not str:
            raise InvalidSetting("the keys must be the text of a PEM file or of a JWKS")
        self.split()

    def split(self) -> tuple[str, dict[str, str]]:
        """The one key in PEM and no others, or an empty text and a JWKS of one key by `kid`."""
        text = self.keys.strip()
        if text.startswith(("-----BEGIN", "ssh-")):
            if not text.startswith((_PUBLIC_KEY, _CERTIFICATE)) or text.count("-----BEGIN") != 1:
                raise InvalidSetting("a PEM text must hold one public key or one certificate, and nothing else")
            return text + "\n", {}
        try:
            document = parse(text, what="JWKS")
        except MalformedInput as error:
            raise InvalidSetting(f"the keys are neither PEM nor a JWKS: {error}") from None
        found = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(found, list) or not found:
            raise InvalidSetting("a JWKS must have an array `keys` that is not empty")
        keys: dict[str, str] = {}
        for key in found:
            kid = self._kid(key)
            if kid in keys:
                raise InvalidSetting(f"the JWKS has the `kid` `{kid}` twice")
            keys[kid] = encode({"keys": [key]}).decode("utf-8")
        return "", keys

    def _kid(self, key: Value) -> str:
        if not isinstance(key, dict):
            raise InvalidSetting("a key of a JWKS must be an object")
        kid, family = key.get("kid"), key.get("kty")
        if not isinstance(kid, str) or not kid:
            raise InvalidSetting("each key of a JWKS must have a `kid`")
        if not isinstance(family, str) or family not in _FAMILIES or not _PRIVATE_MEMBERS.isdisjoint(key):
            raise InvalidSetting(f"the key `{kid}` of the JWKS is no public key")
        operations = key.get("key_ops", ["verify"])
        if key.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
            raise InvalidSetting(f"the key `{kid}` of the JWKS is not for verifying signatures")
        fitting = [name for name in self.algorithms if name.startswith(_FAMILIES[family])]
        if key.get("alg", fitting[0] if fitting else "") not in fitting:
            raise InvalidSetting(f"the key `{kid}` of the JWKS fits none of the algorithms")
        return kid
