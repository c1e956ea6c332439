"""Whose access a command asks about: a token with what verifies it, or claims."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from bridge.cli.exit import Exit
from bridge.cli.input_files import read_input, read_token
from bridge.cli.options import given_options, is_from, require_one
from bridge.cli.terminal import complain
from bridge.decision import Reason
from bridge.errors import (
    AlgorithmNotAllowedError,
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidSignatureError,
    MalformedTokenError,
    UsageError,
)
from bridge.strict_json import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.cli.token_options import VerifierOptions
    from bridge.decision import Decision
    from bridge.errors import InvalidTokenError
    from bridge.policy import PolicySettings
    from bridge.rendering import TokenChecks
    from bridge.tokens import TokenVerifier

_PANEL: Final = "Token or claims"
_SHOWN: Final = 80
_NAMED: Final = 3
_IGNORED: Final = re.compile(r"[\s_-]+")
_HINTS: Final = {
    AlgorithmNotAllowedError.code: "--alg says which algorithms are accepted; "
    "HS256, HS384 and HS512 need --secret-file",
    InvalidAudienceError.code: "--audience says whom tokens must be for",
    InvalidSignatureError.code: "is it the key of the token's issuer? With --secret-file, the secret is the file's "
    "text as it stands: decode it where it is written in base64 or hex, and leave out quotes and names",
    InvalidIssuerError.code: "--issuer says whom tokens must be from",
}


@dataclass(frozen=True, slots=True)
class BearerOptions:
    """A token, or claims."""

    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            envvar="JWT",
            metavar="TEXT",
            help="The token; better a file or the variable, which nobody sees among the processes.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            help="A file with the token; `-` for standard input.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    claims: Annotated[
        Path | None,
        typer.Option(
            "--claims",
            metavar="FILE",
            help="In place of a token: claims that have been verified already, in JSON; `-` for standard input.",
            rich_help_panel=_PANEL,
        ),
    ] = None

    def read(
        self, context: typer.Context, tokens: VerifierOptions, checks: TokenChecks | None = None
    ) -> tuple[Any, TokenVerifier | None]:
        """The token with what verifies it, or claims.

        Args:
            context: The command's; the options stand in it as `subject` and `tokens`.
            tokens: What a valid token is.
            checks: The same for the rules, where they verify tokens; it counts, for `tokens` does not contradict it.

        Raises:
            UsageError: None is given, or more than one, or options that do not go with it.
            MalformedInputError: The claims are no JSON.
            OSError: A file cannot be read.
        """
        token = self.token
        if is_from(context, "subject_token", "ENVIRONMENT") and (
            self.token_file is not None or self.claims is not None
        ):
            token = None  # what is given outranks the environment
        if self.claims is not None and (names := given_options(context, "tokens")):
            raise UsageError(
                f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} for a token, "
                "and --claims have been verified already"
            )
        require_one(
            "whose access?", or_else=", or set JWT", token=token, token_file=self.token_file, claims=self.claims
        )
        if self.claims is None:
            if self.token_file is not None:
                token = read_token(self.token_file)
            assert token is not None
            return token.strip(), tokens.verifier(checks)
        value = parse(read_input(self.claims, "claims"), what="claims")
        # A string would be taken for a token; claims it is as little as null is.
        return None if isinstance(value, str) else value, None

    def refuse(self, error: InvalidTokenError) -> NoReturn:
        """End with what is wrong with the token."""
        complain(f"invalid token ({error.code}): {error}")
        hint = _HINTS.get(error.code, "")
        if isinstance(error, MalformedTokenError) and self.token is not None and _is_file(self.token):
            hint = "the token is the name of a file; --token-file reads it"
        if hint:
            complain(f"hint: {hint}")
        raise typer.Exit(Exit.USAGE)


def warn_of_misspelt(decision: Decision, claims: object, settings: PolicySettings) -> None:
    """Warn on standard error where nothing is restricted, but the claims have what looks like a policy.

    Args:
        decision: What was decided; only `unrestricted` is of interest.
        claims: The claims that it was decided on.
        settings: What the rules were rendered for.
    """
    if decision.reason == Reason.UNRESTRICTED and isinstance(claims, dict):
        warn_of_lookalikes(claims, settings)


def warn_of_lookalikes(claims: Mapping[str, object], settings: PolicySettings) -> None:
    """Warn on standard error of members of claims without a policy that look like one."""
    found = lookalikes(claims, settings.claim)
    if found:
        named = " and ".join(_shown(name) for name in found[:_NAMED])
        more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
        complain(
            f"warning: the claims have no {_shown(settings.claim)}, so nothing is restricted, but they have "
            f"{named}{more}: is it misspelt? With --require-policy, claims without a policy are denied"
        )


def lookalikes(claims: Mapping[str, object], claim: str) -> list[str]:
    """The members of claims whose names look like the policy claim's, but are not.

    They are equal apart from case, spaces, `-`, `_`, what cannot be seen, or a plural; so may be what stands behind the
    last `/` or `:` of one or the other.
    """
    wanted = _forms(claim) | _forms(_last_part(claim))
    return [
        name
        for name in claims
        if name != claim and any(not wanted.isdisjoint(_forms(part)) for part in (name, _last_part(name)))
    ]


def _last_part(name: str) -> str:
    return re.split(r"[/:]", name)[-1]


def _forms(name: str) -> set[str]:
    """The name without what is easily overlooked, as it is and in the singular; none where nothing is left."""
    seen = "".join(
        char for char in unicodedata.normalize("NFKC", name) if unicodedata.category(char) not in ("Cc", "Cf")
    )
    text = _IGNORED.sub("", seen.casefold())
    forms = {text, text.removesuffix("s")}
    if text.endswith("ies"):
        forms.add(text.removesuffix("ies") + "y")
    return forms - {""}


def _shown(name: str) -> str:
    """The name as a JSON string, every character but those of ASCII escaped, so that it cannot pass for anything."""
    text = name if len(name) <= _SHOWN else name[:_SHOWN] + "..."
    return json.dumps(text)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False
