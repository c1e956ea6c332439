"""Whose access is checked: a token or verified claims, in the form that goes to an engine.

Rules on OPA may verify tokens too. The bridge verifies a token first, and then sends OPA the token itself, or the
verified claims where OPA could read the token otherwise. Both must give the same decision. So the bridge demands of
every token what the rules demand (keys, algorithms, audience, issuer, required claims). And it sends a token itself
only while the token's times leave room, because the rules compare times without leeway, and a little later.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from bridge.decision import Request
from bridge.errors import InvalidTokenError, UsageError
from bridge.rendering import RuleSet, TokenChecks
from bridge.strict_json import CLAIMS_BYTES, encode, encode_memoized
from bridge.tokens import TokenVerifier
from bridge.tokens.cache import VerifiedToken


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whose access is checked, in canonical text.

    Attributes:
        claims: The claims.
        token: The token, if it may go to OPA as it is.
        is_still_raw: Returns whether the token may still go.
    """

    claims: bytes
    token: bytes | None = None
    is_still_raw: Callable[[], bool] = bool

    @classmethod
    def of(cls, token_or_claims: object, verifier: TokenVerifier | None, raw: RawTokens | None) -> Bearer:
        """Verify the token, or encode the claims, which are verified already.

        Args:
            token_or_claims: A token if it is a string; otherwise claims.
            verifier: What verifies tokens.
            raw: Which tokens may go to OPA as they are; None if the rules verify no tokens.

        Raises:
            InvalidTokenError: The token is not valid.
            KeysUnavailableError: The keys to verify it are unavailable.
            MalformedInputError: The claims break R12.
            UsageError: There is a token and no verifier.
        """
        if not isinstance(token_or_claims, str):
            return cls.of_claims(token_or_claims)
        verifier = required_verifier(verifier)
        if type(verifier) is not TokenVerifier:
            return cls.of_claims(verifier.verify(token_or_claims))  # a derived verifier adds demands to `verify`
        return cls.of_verified(verifier.verified(token_or_claims), verifier, raw)

    @classmethod
    def of_claims(cls, claims: object) -> Bearer:
        """Encode claims that are verified already.

        Raises:
            MalformedInputError: They break R12.
        """
        return cls(encode_memoized(claims, max_bytes=CLAIMS_BYTES, what="claims"))

    @classmethod
    def of_verified(cls, verified: VerifiedToken, verifier: TokenVerifier, raw: RawTokens | None) -> Bearer:
        """Take a verified token; arguments as for `of`.

        Raises:
            InvalidTokenError: The rules verify tokens too, and refuse it.
        """
        if raw is None:
            return cls(verified.text)
        raw.refuse(verified, verifier)
        is_raw = partial(raw.may_go, verified, verifier)
        return cls(verified.text, encode(verified.token), is_raw) if is_raw() else cls(verified.text)

    def sendable(self, requests: Sequence[Request]) -> Sequence[Request]:
        """Return requests of this bearer as they may go now: with the claims once the token may not go as it is."""
        if self.token is None or self.is_still_raw():
            return requests
        return [request._replace(claims=self.claims, token=None) for request in requests]

    def request(self, type_: bytes, value: object, number: str = "") -> Request:
        """Return the request for a resource or an id.

        Args:
            type_: The resource type, in canonical text.
            value: The id if it is a string; otherwise the resource.
            number: Which of several it is, for the error.

        Raises:
            MalformedInputError: It breaks R12.
        """
        claims = None if self.token is not None else self.claims
        if isinstance(value, str):
            text = encode(value, max_bytes=sys.maxsize, what="id" + number)
            return Request(claims=claims, type=type_, token=self.token, id=text)
        text = encode(value, what="resource" + number)
        return Request(claims=claims, type=type_, token=self.token, resource=text)


def type_text(type_: object) -> bytes:
    """Return a resource type in canonical text. R12.6 limits no type and no id: a huge one is only unknown.

    Raises:
        MalformedInputError: It breaks R12.
    """
    return encode(type_, max_bytes=sys.maxsize, what="type")


def required_verifier(verifier: TokenVerifier | None) -> TokenVerifier:
    """Return the verifier for a token.

    Raises:
        UsageError: There is none.
    """
    if verifier is None:
        raise UsageError("a token was given, but the bridge has no verifier: PolicyBridge(verifier=TokenVerifier(...))")
    return verifier


class RawTokens:
    """Which tokens may go to rules that verify tokens too. Threads may share it.

    Args:
        checks: What the rules demand of a token.
        deadline: The most seconds that one call to the engine may last; None if it is unknown: then no token goes as it
            is.
    """

    def __init__(self, checks: TokenChecks, deadline: float | None) -> None:
        self._checks = checks
        self._deadline = deadline
        self._made: tuple[TokenVerifier, TokenVerifier] | None = None  # replaced as a whole, so it needs no lock

    @classmethod
    def of(cls, rule_set: RuleSet, engine: object) -> RawTokens | None:
        """Return it for an engine with these rules; None if they verify no tokens."""
        return None if rule_set.token is None else cls(rule_set.token, getattr(engine, "deadline", None))

    def refuse(self, verified: VerifiedToken, verifier: TokenVerifier) -> None:
        """Refuse a token that the rules would refuse for another cause than its times or its spelling.

        Args:
            verified: A token that the bridge has verified.
            verifier: The verifier that has verified it.

        Raises:
            InvalidTokenError: The rules do not accept it, although the verifier does.
        """
        made = self._made
        if made is None or made[0] is not verifier:
            self._made = made = (verifier, self._checks.verifier(verifier))
        try:
            made[1].verified(verified.token)
        except InvalidTokenError as error:
            raise type(error)(
                f"the rules on OPA verify tokens too, and refuse this one: {error};"
                " give them the settings of the verifier, and install them again"
            ) from None

    def may_go(self, verified: VerifiedToken, verifier: TokenVerifier) -> bool:
        """Return whether a token may go to OPA as it is now.

        OPA must read it as the bridge does. And it must be valid without leeway from now until the deadline of the
        call, also if OPA's clock differs by the verifier's leeway. If the clock differs more, OPA may say
        `invalid_token`.
        """
        return self._deadline is not None and verified.may_be_sent_raw and verifier.outlasts(verified, self._deadline)
