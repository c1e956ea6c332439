"""Options that say which tokens are valid: keys, algorithms, and claims."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

import typer

from bridge.cli.input_files import read_text
from bridge.cli.options import refuse_contradiction, require_one
from bridge.errors import ConfigurationError, UsageError
from bridge.files import KEY_BYTES, read_file
from bridge.rendering import TokenChecks
from bridge.strict_json.diagnosis import encoding_fault
from bridge.tokens import JwkSet, JwksFile, JwksUrl, StaticKey, TokenVerifier

_PANEL: Final = "Token verification"
_TEXT: Final = bytes((*b"\t\n\r", *range(0x20, 0x7F)))
_ENCODINGS: Final = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")


@dataclass(frozen=True, slots=True)
class TokenOptions:
    """Options that say which tokens are valid, by public keys."""

    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE", help="The public key of the issuer, in PEM.", rich_help_panel=_PANEL),
    ] = None
    jwks: Annotated[
        str | None,
        typer.Option(
            "--jwks", metavar="FILE|URL", help="A JSON Web Key Set, in place of one key.", rich_help_panel=_PANEL
        ),
    ] = None
    algorithms: Annotated[
        list[str] | None,
        typer.Option(
            "--alg",
            metavar="NAME",
            help="An accepted algorithm; repeat it for more; the default is RS256, or HS256 with a secret.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    audience: Annotated[
        list[str] | None,
        typer.Option(
            "--audience",
            metavar="TEXT",
            help="An audience (`aud`); a token must have at least one of these; without this option it must have none.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    issuer: Annotated[
        str | None,
        typer.Option(
            "--issuer", metavar="TEXT", help="The issuer (`iss`) that a token must have.", rich_help_panel=_PANEL
        ),
    ] = None
    required: Annotated[
        list[str] | None,
        typer.Option(
            "--require",
            metavar="CLAIM",
            help="A claim that a token must have besides `exp`; repeat it for more.",
            rich_help_panel=_PANEL,
        ),
    ] = None

    def token_checks(self) -> TokenChecks | None:
        """Return the checks that the rules make themselves; None if no option asks for any.

        Raises:
            ConfigurationError: An option cannot be used.
            UsageError: A key is missing, or more than one is given.
            OSError: A file cannot be read.
        """
        if self.key is None and self.jwks is None:
            if self.algorithms or self.audience or self.issuer is not None or self.required:
                raise UsageError("rules that verify tokens need a key: give --key or --jwks as well")
            return None
        if self.key is not None and self.jwks is not None:
            raise UsageError("--key and --jwks are both given: leave one of them out")
        if self.jwks is not None and _is_url(self.jwks):
            raise UsageError(
                "the rules hold the keys themselves, so --jwks must name a file here: download the key set first"
            )
        return TokenChecks(
            keys=read_text(self.key if self.key is not None else Path(self.jwks or ""), "keys"),
            algorithms=tuple(self.algorithms) if self.algorithms else ("RS256",),
            audience=tuple(self.audience or ()),
            issuer=self.issuer,
            required=tuple(self.required or ()),
        )

    def refuse_contradictions(self, checks: TokenChecks | None, file: Path) -> None:
        """Refuse options that contradict a rule-set file.

        Args:
            checks: What the rules of the file demand of tokens; None if they verify none.
            file: The file.

        Raises:
            ConfigurationError: A key cannot be used.
            UsageError: An option differs from the file.
            OSError: A key's file cannot be read.
        """
        if checks is None:
            options = {
                "--key": self.key,
                "--jwks": self.jwks,
                "--alg": self.algorithms,
                "--audience": self.audience,
                "--issuer": self.issuer,
                "--require": self.required,
            }
            if names := [name for name, value in options.items() if value not in (None, [])]:
                raise UsageError(
                    f"{', '.join(names)}: `{file}` has no `token`, so its rules verify none: leave one of them out"
                )
            return
        for option, path in (("--key", self.key), ("--jwks", self.jwks)):
            if path is None:
                continue
            is_another_key = (
                _is_url(str(path)) or replace(checks, keys=read_text(Path(path), "keys")).split() != checks.split()
            )
            refuse_contradiction(option, str(path) if is_another_key else None, None, f"`token.keys` of `{file}`")
        lists = (
            ("--alg", self.algorithms, checks.algorithms, "algorithms"),
            ("--audience", self.audience, checks.audience, "audience"),
            ("--require", self.required, checks.required, "required"),
        )
        for option, values, file_values, member in lists:
            texts = sorted(set(values)) if values else None
            refuse_contradiction(option, texts, sorted(set(file_values)), f"`token.{member}` of `{file}`")
        refuse_contradiction("--issuer", self.issuer, checks.issuer, f"`token.issuer` of `{file}`")


@dataclass(frozen=True, slots=True)
class VerifierOptions(TokenOptions):
    """Options that say which tokens are valid, for the verifier of the bridge."""

    secret_file: Annotated[
        Path | None,
        typer.Option(
            "--secret-file",
            metavar="FILE",
            help="A file that holds a shared secret (HS256, HS384, HS512); a line feed at its end is not part of it.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    leeway: Annotated[
        float,
        typer.Option(
            "--leeway",
            metavar="SECONDS",
            min=0,
            help="How many seconds the clocks may differ; the default is 0.",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = 0.0

    def refuse_contradictions(self, checks: TokenChecks | None, file: Path) -> None:
        """Refuse options that contradict a rule-set file, a secret among them: rules never hold one."""
        refuse_contradiction("--secret-file", self.secret_file, None, f"`token.keys` of `{file}`")
        TokenOptions.refuse_contradictions(self, checks, file)

    def verifier(self, checks: TokenChecks | None = None) -> TokenVerifier:
        """Return the verifier that the options describe.

        Args:
            checks: What the rules demand of tokens, if they verify tokens; no option contradicts it, so it is used.

        Raises:
            ConfigurationError: An option cannot be used.
            UsageError: No key is given, or more than one.
            OSError: The file of the secret cannot be read.
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
        require_one("what verifies the token", key=self.key, jwks=self.jwks, secret_file=self.secret_file)
        if self.key is not None:
            return StaticKey.from_pem_file(self.key)
        if self.jwks is not None:
            return JwksUrl(self.jwks) if _is_url(self.jwks) else JwksFile(self.jwks)
        assert self.secret_file is not None
        return StaticKey.from_secret(_secret(read_file(self.secret_file, limit=KEY_BYTES, what="a secret")))


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def _secret(data: bytes) -> bytes:
    """Return the secret without the line feed that an editor puts behind a text; leave random bytes unchanged.

    Raises:
        ConfigurationError: It is a text in another encoding, or with other white space around it, so nobody knows
            which part of it is the secret.
    """
    if not _is_text(data):
        decoded = (data.decode(encoding, "replace").encode("utf-8") for encoding in _ENCODINGS)
        if (fault := encoding_fault(data)) and any(
            map(_is_text, decoded)
        ):  # random bytes may look like another encoding
            raise ConfigurationError(f"secret file: {fault}")
        return data
    line = data.removesuffix(b"\n").removesuffix(b"\r")
    has_more = line != line.strip() or b"\n" in line or b"\r" in line
    if has_more and not line.startswith(b"-----BEGIN "):  # a PEM key has its own error
        raise ConfigurationError(
            "secret file: white space around the secret, or several lines; the file must hold the secret, and one line"
            " feed behind it at most: remove the rest (`StaticKey.from_secret` accepts a secret that has them)"
        )
    return line


def _is_text(data: bytes) -> bool:
    """Return whether bytes are ASCII text, lines and tabs included."""
    return bool(data) and not data.translate(None, _TEXT)
