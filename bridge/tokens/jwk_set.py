"""Sets of JSON Web Keys (RFC 7517, section 5), by `kid`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.errors import ConfigurationError, UnknownKeyError
from bridge.process_bound import ProcessBound
from bridge.tokens.algorithms import UnusableKeyError
from bridge.tokens.jwk import document_from, key_from_jwk
from bridge.tokens.keys import VerificationKey
from bridge.tokens.wording import quoted
from bridge.tokens.wrong_format import instead_of_set

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.strict_json import Value
    from bridge.tokens.jwk import Jwk

_HANDED_OUT: Final = "it is an HMAC secret, and what a URL hands out is no secret"
_AMONG_PUBLIC: Final = "it is an HMAC secret among public keys, and a set of those is made to be published"
_TWICE: Final = "the set has more than one key of it"


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of one document.

    Families may be mixed: the token's `alg` must fit the one key that its `kid` names. A key that cannot be used is
    kept with the reason, so that a token that names it is refused with it; the others stay good (RFC 7517, section
    5). Keys without a `kid` cannot be named and are left out.

    Attributes:
        keys: By `kid`: the key, or why there is none to use.
        unnamed: How many keys have no `kid`.
    """

    keys: Mapping[str, VerificationKey | str]
    unnamed: int

    @classmethod
    def of(cls, document: Value, *, published: bool) -> KeySet:
        """The set that a JSON document spells.

        HMAC secrets are used only from a set that is not `published` and holds nothing else.

        Args:
            document: The parsed document, `{"keys": [...]}`.
            published: Whether others can read it too.

        Raises:
            UnusableKeyError: The document is no JWK set. (One bad key does not spoil the set.)
        """
        members = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(members, list):
            found = instead_of_set(document)
            raise UnusableKeyError(f"no JWK set: there is no array `keys`{'; ' if found else ''}{found}")
        jwks: list[Jwk] = []
        for member in members:
            if not isinstance(member, dict):
                raise UnusableKeyError("no JWK set: something in `keys` is no object")
            jwks.append(member)
        no_secrets = ""
        if published:
            no_secrets = _HANDED_OUT
        elif any(jwk.get("kty") != "oct" for jwk in jwks):
            no_secrets = _AMONG_PUBLIC
        keys: dict[str, VerificationKey | str] = {}
        for jwk in jwks:
            kid = jwk.get("kid")
            if isinstance(kid, str):
                keys[kid] = _TWICE if kid in keys else _key_or_reason(jwk, no_secrets)
        return cls(keys, sum(not isinstance(jwk.get("kid"), str) for jwk in jwks))

    def __contains__(self, kid: object) -> bool:
        """Whether the set names `kid`, be the key usable or not."""
        return kid in self.keys

    def key_for(self, kid: str | None) -> VerificationKey:
        """The one usable key of that `kid`.

        Raises:
            UnknownKeyError: No `kid`, no key of it, more than one, or one that must not be used.
        """
        name = kid_of(kid)
        found = self.keys.get(name) or self._none()
        if isinstance(found, str):
            raise UnknownKeyError(f"no key for the `kid` {quoted(name)}: {found}")
        return found

    def _none(self) -> str:
        if not self.keys and not self.unnamed:
            return "the set has no keys at all"
        if self.unnamed:
            return f"the set has no key of it, and {self.unnamed:,} without a `kid`, which no token can name"
        return "the set has no key of it"


def kid_of(kid: str | None) -> str:
    """The `kid`, which a token that is verified by a set must have.

    Raises:
        UnknownKeyError: It has none.
    """
    if kid is None:
        raise UnknownKeyError(
            "the token has no `kid`, and the keys of a set are told apart by it: "
            "give the one key that it is signed for in PEM, in place of the set"
        )
    return kid


def _key_or_reason(jwk: Jwk, no_secrets: str) -> VerificationKey | str:
    if no_secrets and jwk.get("kty") == "oct":
        return no_secrets
    try:
        return key_from_jwk(jwk)
    except UnusableKeyError as refused:
        return str(refused)


class JwkSet(ProcessBound):
    """A fixed set of keys: a token is verified with the one that its `kid` names.

    `oct` keys (HMAC secrets) are used only if the set holds nothing else: a set with public keys is made to be
    published, and a published secret is none.

    Args:
        document: `{"keys": [...]}` (RFC 7517, section 5), as JSON text or as an object.

    Raises:
        ConfigurationError: It is no JWK set, or breaks R12.
    """

    __slots__ = ("_keys",)

    def __init__(self, document: str | bytes | Mapping[str, object]) -> None:
        try:
            self._keys = KeySet.of(document_from(document), published=False)
        except UnusableKeyError as refused:
            raise ConfigurationError(f"key set: {refused}") from None

    def __repr__(self) -> str:
        return f"JwkSet({len(self._keys.keys)} keys)"

    def check(self, algorithms: Sequence[str]) -> None:
        """Refuse a set that could not verify anything.

        Raises:
            ConfigurationError: No key of the set fits any of `algorithms`.
        """
        usable = [key for key in self._keys.keys.values() if isinstance(key, VerificationKey)]
        if not any(name in key.algorithms for key in usable for name in algorithms):
            reasons = {f"{quoted(kid)}: {why}" for kid, why in self._keys.keys.items() if isinstance(why, str)}
            refused = f" (refused: {'; '.join(sorted(reasons)[:3])})" if reasons else ""
            raise ConfigurationError(f"key set: no key with a `kid` is one for {', '.join(algorithms)}{refused}")

    def key_for(self, kid: str | None) -> VerificationKey:
        """The key that `kid` names.

        Raises:
            UnknownKeyError: No `kid`, no key of it, more than one, or one that must not be used.
        """
        return self._keys.key_for(kid)
