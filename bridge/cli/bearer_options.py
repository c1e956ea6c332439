"""The token or the claims that a command asks about, and the warning that their policy claim may be misspelt."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer

from bridge.cli.exit import Exit
from bridge.cli.input_files import read_input, read_token
from bridge.cli.options import has_source, options_on_command_line, require_one
from bridge.cli.terminal import print_error
from bridge.cli.token_options import VerifierOptions
from bridge.decision import Decision, Reason
from bridge.errors import (
    AlgorithmNotAllowedError,
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidSignatureError,
    InvalidTokenError,
    MalformedTokenError,
    UsageError,
)
from bridge.policy import PolicySettings
from bridge.rendering import TokenChecks
from bridge.strict_json import parse
from bridge.tokens import TokenVerifier

_PANEL: Final = "Token or claims"
_MAX_SHOWN: Final = 80
_MAX_NAMED: Final = 3
_IGNORED: Final = re.compile(r"[\s_-]+")
_HINTS: Final = {
    AlgorithmNotAllowedError.code: "--alg names the algorithms that are accepted; "
    "HS256, HS384 and HS512 need --secret-file",
    InvalidAudienceError.code: "--audience names the audience that tokens must have",
    InvalidSignatureError.code: "check that the key is that of the token's issuer; with --secret-file, the secret is "
    "the exact text of the file: decode base64 or hex first, and leave out quotes and names",
    InvalidIssuerError.code: "--issuer names the issuer that tokens must have",
}


@dataclass(frozen=True, slots=True)
class BearerOptions:
    """Options that give a token or claims."""

    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            envvar="JWT",
            metavar="TEXT",
            help="The token. Prefer --token-file or the variable: other users can see the arguments of a process.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            help="A file that holds the token; `-` reads standard input.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    claims: Annotated[
        Path | None,
        typer.Option(
            "--claims",
            metavar="FILE",
            help="A file that holds verified claims in JSON, in place of a token; `-` reads standard input.",
            rich_help_panel=_PANEL,
        ),
    ] = None

    def read(
        self, context: typer.Context, tokens: VerifierOptions, checks: TokenChecks | None = None
    ) -> tuple[Any, TokenVerifier | None]:
        """Return the token and its verifier, or the claims and None.

        Args:
            context: The context of the command; it has these options as `bearer` and those of tokens as `tokens`.
            tokens: The options that say which tokens are valid.
            checks: What the rules demand of tokens, if they verify tokens; it is used, because `tokens` does not
                contradict it.

        Raises:
            UsageError: Neither or both are given, or options that do not fit.
            MalformedInputError: The claims are not JSON.
            OSError: A file cannot be read.
        """
        token = self.token
        if has_source(context, "bearer_token", "ENVIRONMENT") and (
            self.token_file is not None or self.claims is not None
        ):
            token = None  # an option outranks the environment
        if self.claims is not None and (names := options_on_command_line(context, "tokens")):
            raise UsageError(
                f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} for a token, "
                "and --claims need no verification: leave one of them out"
            )
        require_one(
            "the token or the claims",
            or_else=", or set JWT",
            token=token,
            token_file=self.token_file,
            claims=self.claims,
        )
        if self.claims is None:
            if self.token_file is not None:
                token = read_token(self.token_file)
            assert token is not None
            return token.strip(), tokens.verifier(checks)
        value = parse(read_input(self.claims, "claims"), what="claims")
        # The bridge would take a string for a token; as claims it is as malformed as null.
        return None if isinstance(value, str) else value, None

    def exit_invalid_token(self, error: InvalidTokenError) -> NoReturn:
        """Print what is wrong with the token and how to correct it, and exit."""
        print_error(f"invalid token ({error.code}): {error}")
        hint = _HINTS.get(error.code, "")
        if isinstance(error, MalformedTokenError) and self.token is not None and _is_file(self.token):
            hint = "the token is the name of a file: give it with --token-file"
        if hint:
            print_error(f"hint: {hint}")
        raise typer.Exit(Exit.USAGE)


def warn_of_misspelt(decision: Decision, claims: object, settings: PolicySettings) -> None:
    """Warn on standard error if nothing is restricted and the claims have a member that looks like a policy.

    Args:
        decision: The decision; only the reason `unrestricted` can give a warning.
        claims: The claims that it was made on.
        settings: The settings of the rules.
    """
    if decision.reason == Reason.UNRESTRICTED and isinstance(claims, dict):
        warn_of_lookalikes(claims, settings)


def warn_of_lookalikes(claims: Mapping[str, object], settings: PolicySettings) -> None:
    """Warn on standard error of members that look like the policy claim, which the claims do not have."""
    names = lookalikes(claims, settings.claim)
    if names:
        text = " and ".join(_shown(name) for name in names[:_MAX_NAMED])
        more = f" and {len(names) - _MAX_NAMED:,} more" if len(names) > _MAX_NAMED else ""
        print_error(
            f"warning: the claims have no {_shown(settings.claim)}, so nothing is restricted, but they have "
            f"{text}{more}: is it misspelt? With --require-policy, claims without a policy are denied"
        )


def lookalikes(claims: Mapping[str, object], claim: str) -> list[str]:
    """Return the names of members that look like the policy claim but differ from it.

    Two names look alike if they are equal apart from case, spaces, `-`, `_`, invisible characters, or a plural. The
    part behind the last `/` or `:` of either name is compared too.
    """
    claim_forms = _forms(claim) | _forms(_last_part(claim))
    return [
        name
        for name in claims
        if name != claim and any(not claim_forms.isdisjoint(_forms(part)) for part in (name, _last_part(name)))
    ]


def _last_part(name: str) -> str:
    return re.split(r"[/:]", name)[-1]


def _forms(name: str) -> set[str]:
    """Return the name without what is easily overlooked, as it is and in the singular; nothing if nothing is left."""
    visible = "".join(
        char for char in unicodedata.normalize("NFKC", name) if unicodedata.category(char) not in ("Cc", "Cf")
    )
    text = _IGNORED.sub("", visible.casefold())
    forms = {text, text.removesuffix("s")}
    if text.endswith("ies"):
        forms.add(text.removesuffix("ies") + "y")
    return forms - {""}


def _shown(name: str) -> str:
    """Return the name as a JSON string in ASCII, so that it cannot look like another name."""
    text = name if len(name) <= _MAX_SHOWN else name[:_MAX_SHOWN] + "..."
    return json.dumps(text)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False
