"""Options that several commands have, and what they make."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from bridge.cli.input_files import read_text
from bridge.errors import ConfigurationError, UsageError
from bridge.files import KEY_BYTES, read_file
from bridge.opa import OpaClient
from bridge.rendering import TokenChecks
from bridge.strict_json.encodings import encoding_fault
from bridge.tokens import JwkSet, JwksFile, JwksUrl, StaticKey, TokenVerifier

_OPA: Final = "An OPA server"
_TOKENS: Final = "Tokens"
_TEXT: Final = bytes((*b"\t\n\r", *range(0x20, 0x7F)))
_ENCODINGS: Final = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")


class EngineName(StrEnum):
    """The engines."""

    WASM = "wasm"
    REFERENCE = "reference"
    OPA = "opa"


EngineOption = Annotated[EngineName, typer.Option("--engine", help="What decides.")]


@dataclass(frozen=True, slots=True)
class OpaOptions:
    """Which OPA server, and how to speak to it."""

    url: Annotated[
        str | None,
        typer.Option(
            "--opa-url",
            envvar="OPA_URL",
            metavar="URL",
            help="Where OPA is, such as http://127.0.0.1:8181 or unix:///run/opa.sock.",
            rich_help_panel=_OPA,
        ),
    ] = None
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--opa-token-file",
            metavar="FILE",
            help="A file with the bearer token for OPA; read again when it changes.",
            rich_help_panel=_OPA,
        ),
    ] = None
    ca: Annotated[
        Path | None,
        typer.Option(
            "--opa-ca", metavar="FILE", help="The certificate authorities to trust, in PEM.", rich_help_panel=_OPA
        ),
    ] = None
    certificate: Annotated[
        Path | None,
        typer.Option(
            "--opa-certificate", metavar="FILE", help="Our certificate for OPA, in PEM.", rich_help_panel=_OPA
        ),
    ] = None
    key: Annotated[
        Path | None,
        typer.Option("--opa-key", metavar="FILE", help="The key of our certificate, in PEM.", rich_help_panel=_OPA),
    ] = None
    deadline: Annotated[
        float,
        typer.Option(
            "--opa-deadline",
            metavar="SECONDS",
            min=0.001,
            help="How long one call to OPA may take.",
            rich_help_panel=_OPA,
        ),
    ] = 30.0

    def client(self) -> OpaClient:
        """The client for the OPA that the options speak of.

        Raises:
            UsageError: An option is missing, or cannot be used.
        """
        if self.url is None:
            raise UsageError("where is OPA? Give --opa-url, or set OPA_URL")
        if (self.certificate is None) != (self.key is None):
            raise UsageError("--opa-certificate and --opa-key go together")
        return OpaClient(
            self.url,
            token=self.token_file,
            ca=self.ca,
            client_certificate=None if self.certificate is None or self.key is None else (self.certificate, self.key),
            deadline=self.deadline,
        )


@dataclass(frozen=True, slots=True)
class TokenOptions:
    """What a valid token is, by public keys."""

    key: Annotated[
        Path | None,
        typer.Option(
            "--key", metavar="FILE", help="The public key that tokens are signed for, in PEM.", rich_help_panel=_TOKENS
        ),
    ] = None
    jwks: Annotated[
        str | None,
        typer.Option(
            "--jwks", metavar="FILE|URL", help="A set of keys in place of one (JWKS).", rich_help_panel=_TOKENS
        ),
    ] = None
    algorithms: Annotated[
        list[str] | None,
        typer.Option(
            "--alg",
            metavar="NAME",
            help="An algorithm that is accepted; once for each; without it, RS256, or HS256 with a secret.",
            rich_help_panel=_TOKENS,
        ),
    ] = None
    audience: Annotated[
        list[str] | None,
        typer.Option(
            "--audience",
            metavar="TEXT",
            help="Whom tokens must be for (`aud`), any one of these; without it, tokens must have no `aud`.",
            rich_help_panel=_TOKENS,
        ),
    ] = None
    issuer: Annotated[
        str | None,
        typer.Option("--issuer", metavar="TEXT", help="Whom tokens must be from (`iss`).", rich_help_panel=_TOKENS),
    ] = None
    required: Annotated[
        list[str] | None,
        typer.Option(
            "--require",
            metavar="CLAIM",
            help="A claim that must be there besides `exp`; once for each.",
            rich_help_panel=_TOKENS,
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
            rich_help_panel=_TOKENS,
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
            rich_help_panel=_TOKENS,
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


def require_one(question: str, *, or_else: str = "", **options: object) -> None:
    """Refuse none, and more than one, of options that take each other's place.

    Args:
        question: What they answer.
        or_else: What else would do.
        options: By name, their values; None where one is not given.

    Raises:
        UsageError: Not exactly one is given.
    """
    *names, last = [f"--{name.strip('_').replace('_', '-')}" for name in options]
    given = sum(value is not None for value in options.values())
    if given != 1:
        hint = {0: or_else, 2: ", not both"}.get(given, ", not all")
        raise UsageError(f"{question} Give one of {', '.join(names)} and {last}{hint}")


def refuse_other(option: str, given: object, there: object, member: str) -> None:
    """Refuse an option that says something else than a file does.

    Args:
        option: Its name.
        given: What it says; None where it is not given.
        there: What the file says; None where it says it at length.
        member: The member of the file, in words.

    Raises:
        UsageError: They differ.
    """
    if given is not None and given != there:
        says = "says something else" if there is None or there == [] else f"is {_shown(there)}"
        raise UsageError(f"{option} {_shown(given)} contradicts {member}, which {says}: leave one of them out")


def given_options(context: typer.Context, group: str) -> list[str]:
    """The options of a group, such as `opa`, that stand on the command line, not in the environment."""
    return [
        param.opts[0]
        for param in context.command.params
        if param.name and param.name.startswith(f"{group}_") and is_from(context, param.name, "COMMANDLINE")
    ]


def is_from(context: typer.Context, name: str, source: str) -> bool:
    """Whether a parameter's value comes from there: `COMMANDLINE`, `ENVIRONMENT`, ..."""
    found = context.get_parameter_source(name)
    return found is not None and found.name == source


def refuse_opa_options(context: typer.Context, engine: EngineName) -> None:
    """Refuse options that speak of an OPA where none is asked.

    Raises:
        UsageError: There are some.
    """
    if engine is not EngineName.OPA and (names := given_options(context, "opa")):
        raise UsageError(f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} for --engine opa")


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return str(value).lower() if isinstance(value, bool) else f"`{value}`"


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
