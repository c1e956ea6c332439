"""Options that say which tokens are valid: keys, algorithms, and claims."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

import typer

from bridge.cli.input_files import read_text
from bridge.cli.options import refuse_other, require_one
from bridge.errors import ConfigurationError, UsageError
from bridge.files import KEY_BYTES, read_file
from bridge.rendering import TokenChecks
from bridge.strict_json.encodings import encoding_fault
from bridge.tokens import JwkSet, JwksFile, JwksUrl, StaticKey, TokenVerifier

_PANEL: Final = "Token verification"
_TEXT: Final = bytes((*b"\t\n\r", *range(0x20, 0x7F)))
_ENCODINGS: Final = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")


@dataclass(frozen=True, slots=True)
class TokenOptions:
    """What a valid token is, by public keys."""

    key: Annotated[
        Path | None,
        typer.Option(
            "--key", metavar="FILE", help="The public key that tokens are signed for, in PEM.", rich_help_panel=_PANEL
        ),
    ] = None
    jwks: Annotated[
        str | None,
        typer.Option(
            "--jwks", metavar="FILE|URL", help="A set of keys in place of one (JWKS).", rich_help_panel=_PANEL
        ),
    ] = None
    algorithms: Annotated[
        list[str] | None,
        typer.Option(
            "--alg",
            metavar="NAME",
            help="An algorithm that is accepted; once for each; without it, RS256, or HS256 with a secret.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    audience: Annotated[
        list[str] | None,
        typer.Option(
            "--audience",
            metavar="TEXT",
            help="Whom tokens must be for (`aud`), any one of these; without it, tokens must have no `aud`.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    issuer: Annotated[
        str | None,
        typer.Option("--issuer", metavar="TEXT", help="Whom tokens must be from (`iss`).", rich_help_panel=_PANEL),
    ] = None
    required: Annotated[
        list[str] | None,
        typer.Option(
            "--require",
            metavar="CLAIM",
            help="A claim that must be there besides `exp`; once for each.",
            rich_help_panel=_PANEL,
        ),
    ] = None

    def token_checks(self) -> TokenChecks | None:
        """The checks for the rules themselves to make; None where no option asks for any.

        Raises:
            ConfigurationError: An option cannot be used.
            UsageError: A key is missing, or there are too many.
            OSError: A file cannot be read.
        """
        if self.key is None and self.jwks is None:
            if self.algorithms or self.audience or self.issuer is not None or self.required:
                raise UsageError("rules that verify tokens need a key: give --key or --jwks as well")
            return None
        if self.key is not None and self.jwks is not None:
            raise UsageError("--key and --jwks do not go together")
        if self.jwks is not None and _is_url(self.jwks):
            raise UsageError("the rules hold the keys themselves, so --jwks must name a file here")
        return TokenChecks(
            keys=read_text(self.key if self.key is not None else Path(self.jwks or ""), "keys"),
            algorithms=tuple(self.algorithms) if self.algorithms else ("RS256",),
            audience=tuple(self.audience or ()),
            issuer=self.issuer,
            required=tuple(self.required or ()),
        )

    def refuse_others(self, checks: TokenChecks | None, file: Path) -> None:
        """Refuse options that contradict a rule-set file.

        Args:
            checks: What the rules of the file demand of tokens; None where they verify none.
            file: The file.

        Raises:
            ConfigurationError: A key cannot be used.
            UsageError: An option says something else than the file does.
            OSError: A key's file cannot be read.
        """
        if checks is None:
            named = {
                "--key": self.key,
                "--jwks": self.jwks,
                "--alg": self.algorithms,
                "--audience": self.audience,
                "--issuer": self.issuer,
                "--require": self.required,
            }
            if given := [name for name, value in named.items() if value not in (None, [])]:
                raise UsageError(
                    f"{', '.join(given)}: `{file}` has no `token`, so its rules verify none: leave one of them out"
                )
            return
        for option, path in (("--key", self.key), ("--jwks", self.jwks)):
            if path is None:
                continue
            is_other = (
                _is_url(str(path)) or replace(checks, keys=read_text(Path(path), "keys")).split() != checks.split()
            )
            refuse_other(option, str(path) if is_other else None, None, f"`token.keys` of `{file}`")
        several = (
            ("--alg", self.algorithms, checks.algorithms, "algorithms"),
            ("--audience", self.audience, checks.audience, "audience"),
            ("--require", self.required, checks.required, "required"),
        )
        for option, given_, there, member in several:
            texts = sorted(set(given_)) if given_ else None
            refuse_other(option, texts, sorted(set(there)), f"`token.{member}` of `{file}`")
        refuse_other("--issuer", self.issuer, checks.issuer, f"`token.issuer` of `{file}`")


@dataclass(frozen=True, slots=True)
class VerifierOptions(TokenOptions):
    """What a valid token is, for the bridge to verify."""

    secret_file: Annotated[
        Path | None,
        typer.Option(
            "--secret-file",
            metavar="FILE",
            help="A shared secret in place of a key (HS256, HS384, HS512); a line feed after a text is not part of it.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    leeway: Annotated[
        float,
        typer.Option(
            "--leeway",
            metavar="SECONDS",
            min=0,
            help="How many seconds clocks may differ; without it, 0.",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = 0.0

    def refuse_others(self, checks: TokenChecks | None, file: Path) -> None:
        """As for `TokenOptions`; rules never hold a secret."""
        refuse_other("--secret-file", self.secret_file, None, f"`token.keys` of `{file}`")
        TokenOptions.refuse_others(self, checks, file)

    def verifier(self, checks: TokenChecks | None = None) -> TokenVerifier:
        """The verifier that the options speak of.

        Args:
            checks: What the rules demand of tokens, where they verify them: it counts, for no option contradicts it.

        Raises:
            ConfigurationError: An option cannot be used.
            UsageError: No key is given, or more than one.
            OSError: The secret's file cannot be read.
        """
        if checks is not None and self.secret_file is None:
            is_set = checks.keys.strip().startswith("{")
            return TokenVerifier(
                JwkSet(checks.keys) if is_set else StaticKey.from_pem(checks.keys),
                algorithms=checks.algorithms,
                audience=checks.audience or None,
                issuer=checks.issuer,
                leeway=self.leeway,
                required=checks.required,
            )
        return TokenVerifier(
            self._source(),
            algorithms=self.algorithms or ("RS256" if self.secret_file is None else "HS256",),
            audience=self.audience or None,
            issuer=self.issuer,
            leeway=self.leeway,
            required=self.required or (),
        )

    def _source(self) -> StaticKey | JwksFile | JwksUrl:
        require_one("what verifies the token?", key=self.key, jwks=self.jwks, secret_file=self.secret_file)
        if self.key is not None:
            return StaticKey.from_pem_file(self.key)
        if self.jwks is not None:
            return JwksUrl(self.jwks) if _is_url(self.jwks) else JwksFile(self.jwks)
        assert self.secret_file is not None
        return StaticKey.from_secret(_secret(read_file(self.secret_file, limit=KEY_BYTES, what="a secret")))


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def _secret(data: bytes) -> bytes:
    """Without the line feed that an editor puts behind a text; random bytes stay as they are.

    Raises:
        ConfigurationError: It is a text in another encoding, or with more around it than that: what of it is the
            secret?
    """
    if not _is_text(data):
        decoded = (data.decode(encoding, "replace").encode("utf-8") for encoding in _ENCODINGS)
        if (fault := encoding_fault(data)) and any(map(_is_text, decoded)):  # random bytes may begin in any way
            raise ConfigurationError(f"secret file: {fault}")
        return data
    line = data.removesuffix(b"\n").removesuffix(b"\r")
    is_more = line != line.strip() or b"\n" in line or b"\r" in line
    if is_more and not line.startswith(b"-----BEGIN "):  # a key is refused by its own name
        raise ConfigurationError(
            "secret file: white space around the secret, or several lines; the file must hold the secret, and one line"
            " feed behind it at most: take the rest off (`StaticKey.from_secret` takes a secret that has them)"
        )
    return line


def _is_text(data: bytes) -> bool:
    """Whether bytes are ASCII text, lines and tabs included."""
    return bool(data) and not data.translate(None, _TEXT)
