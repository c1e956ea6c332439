"""Tokens for rules that verify tokens: one verdict, whether such rules are given a token or its verified claims.

The bridge verifies a token first, and then gives OPA the token itself, or the verified claims where OPA could read the
token otherwise. Which of the two it is must change no answer. So what the rules demand (keys, algorithms, audience,
issuer, required claims) is demanded here of every token. And a token goes itself only where its times leave room, for
the rules compare them without leeway, and a little later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.errors import InvalidTokenError

if TYPE_CHECKING:
    from bridge.rendering import RuleSet, TokenChecks
    from bridge.tokens import TokenVerifier
    from bridge.tokens.cache import VerifiedToken


class RawTokens:
    """What becomes of tokens where rules verify them too; may be shared by threads.

    Args:
        checks: What the rules demand of a token.
        deadline: Seconds that one call to the engine may last at most; None where nobody knows: no token goes raw then.
    """

    def __init__(self, checks: TokenChecks, deadline: float | None) -> None:
        self._checks = checks
        self._deadline = deadline
        self._made: tuple[TokenVerifier, TokenVerifier] | None = None  # replaced whole, so no lock is needed

    @classmethod
    def of(cls, rule_set: RuleSet, engine: object) -> RawTokens | None:
        """For an engine with these rules; None where they verify no tokens."""
        return None if rule_set.token is None else cls(rule_set.token, getattr(engine, "deadline", None))

    def refuse(self, verified: VerifiedToken, verifier: TokenVerifier) -> None:
        """Refuse a token that the rules would refuse for another cause than its times or its spelling.

        Args:
            verified: A token that the bridge has verified.
            verifier: What has verified it.

        Raises:
            InvalidTokenError: The rules do not accept it, though the verifier does.
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
        """Whether a token may go to OPA as it is now.

        OPA must read it as the bridge does, and it must hold without leeway from now until the deadline of the call,
        also by a clock of OPA that differs by the verifier's leeway. If it differs more, OPA may say `invalid_token`.
        """
        return self._deadline is not None and verified.may_be_sent_raw and verifier.outlasts(verified, self._deadline)
