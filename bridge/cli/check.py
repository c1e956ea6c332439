"""`jwt-bridge check`: one token, one resource, explained."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from bridge.cli.ending import Exit, told_errors
from bridge.cli.explained import as_json, error_as_json, tell
from bridge.cli.options import (
    EngineName,
    EngineOption,
    OpaOptions,
    RuleSetOptions,
    VerifierOptions,
    given_options,
    is_from,
    read_text,
    refuse_opa_options,
    require_one,
)
from bridge.cli.sources import open_stdin
from bridge.cli.terminal import complain
from bridge.cli.written import is_wasm
from bridge.client import PolicyBridge
from bridge.engines import OpaEngine, ReferenceEngine, WasmEngine
from bridge.errors import (
    AlgorithmRefused,
    AudienceRefused,
    EngineFault,
    InvalidToken,
    IssuerRefused,
    KeysUnavailable,
    MalformedInput,
    MalformedToken,
    Misuse,
)
from bridge.rendering import RuleSet
from bridge.strict_json import parse

if TYPE_CHECKING:
    from bridge.engines import Engine
    from bridge.strict_json import Value
    from bridge.tokens import TokenVerifier

_MOST_INPUT = 64 * 1024 * 1024
_SUBJECT = "Whose access"
_RESOURCE = "To what"
_HINTS = {
    AlgorithmRefused.code: "--alg says which algorithms are accepted",
    AudienceRefused.code: "--audience says whom tokens must be for",
    IssuerRefused.code: "--issuer says whom tokens must be from",
}


def check(
    *,
    context: typer.Context,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            envvar="JWT",
            metavar="TEXT",
            help="The token; better a file or the variable, which nobody sees among the processes.",
            rich_help_panel=_SUBJECT,
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            help="A file with the token; `-` for standard input.",
            rich_help_panel=_SUBJECT,
        ),
    ] = None,
    claims: Annotated[
        Path | None,
        typer.Option(
            "--claims",
            metavar="FILE",
            help="In place of a token: claims that have been verified already, in JSON; `-` for standard input.",
            rich_help_panel=_SUBJECT,
        ),
    ] = None,
    type_: Annotated[
        str,
        typer.Option("--type", metavar="NAME", help="The resource type, such as devices.", rich_help_panel=_RESOURCE),
    ],
    resource: Annotated[
        str | None,
        typer.Option(
            "--resource",
            metavar="FILE|JSON",
            help="A file with the resource, in JSON; `-` for standard input; what begins with { is the JSON itself.",
            rich_help_panel=_RESOURCE,
        ),
    ] = None,
    id_: Annotated[
        str | None,
        typer.Option(
            "--id", metavar="TEXT", help="The id of a resource that was pushed to the OPA.", rich_help_panel=_RESOURCE
        ),
    ] = None,
    engine: EngineOption = EngineName.WASM,
    wasm: Annotated[
        Path | None,
        typer.Option("--wasm", metavar="FILE", help="The Wasm of other rules, by `jwt-bridge render --wasm`."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Answer with one line of JSON.")] = False,
    opa: OpaOptions,
    rules: RuleSetOptions,
    tokens: VerifierOptions,
    token_rules: Annotated[
        bool,
        typer.Option("--token-rules", help="The rules on the OPA verify tokens too, as `install --key` made them."),
    ] = False,
) -> None:
    r"""Check whether a token lets its bearer access a resource, and explain why or why not.

    The token is verified first. The OPA of `--engine opa` must have the rules: `jwt-bridge install` uploads them.

    Exit status: 0 allowed, 1 denied, 2 for misuse or a token that is not valid, 3 when the engine failed or the keys
    cannot be had.

    Examples:
      jwt-bridge check --token-file agent.jwt --key public.pem \
        --audience https://cobrowse.io --issuer LICENSE-KEY \
        --type devices --resource device.json

      On an OPA that has the rules (`install`) and the sessions (`push`):
      jwt-bridge check --claims claims.json --type sessions --id 12345 \
        --engine opa --opa-url http://127.0.0.1:8181
    """
    with told_errors():
        try:
            refuse_opa_options(context, engine)
            if [str(each) for each in (token_file, claims, resource)].count("-") > 1:
                raise Misuse("standard input can be only one thing")
            if is_from(context, "token", "ENVIRONMENT") and (token_file is not None or claims is not None):
                token = None  # what is given outranks the environment
            if claims is not None and (names := given_options(context, "tokens")):
                raise Misuse(
                    f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} for a token, "
                    "and --claims have been verified already"
                )
            subject, verifier = _subject(token, token_file, claims, tokens)
            what = _what(resource, id_, engine)
            rule_set = rules.rule_set(tokens.token_checks() if token_rules else None)
            decider = _engine(engine, opa, rule_set, wasm)
            with PolicyBridge(decider, verifier=verifier) as bridge:
                explanation = bridge.explain(subject, type_, what)
        except InvalidToken as error:
            _refuse_token(error, token, json=json)
        except (EngineFault, KeysUnavailable, MalformedInput) as error:
            if json:
                _write(error_as_json(error))
            raise
        if json:
            _write(as_json(explanation))
        else:
            tell(explanation, types=rule_set.policy.types, by=_named(decider))
        raise typer.Exit(Exit.OK if explanation.decision.allow else Exit.DENIED)


def _refuse_token(error: InvalidToken, token: str | None, *, json: bool) -> NoReturn:
    if json:
        _write(error_as_json(error))
    complain(f"invalid token ({error.code}): {error}")
    hint = _HINTS.get(error.code, "")
    if isinstance(error, MalformedToken) and token is not None and os.path.isfile(token):  # noqa: PTH113 - any text
        hint = "the token is the name of a file; --token-file reads it"
    if hint:
        complain(f"hint: {hint}")
    raise typer.Exit(Exit.MISUSE)


def _named(engine: "Engine") -> str:
    """What decided, for a person."""
    return f"opa, at {engine.opa.url}" if isinstance(engine, OpaEngine) else f"{engine.name}, in this process"


def _write(line: bytes) -> None:
    typer.echo(line + b"\n", nl=False)


def _subject(
    token: str | None, token_file: Path | None, claims: Path | None, tokens: VerifierOptions
) -> "tuple[Any, TokenVerifier | None]":
    """The token with what verifies it, or claims."""
    require_one("whose access?", or_else=", or set JWT", token=token, token_file=token_file, claims=claims)
    if claims is None:
        if token_file is not None:
            token = read_text(token_file) if token_file != Path("-") else _decoded(_read(token_file), "the token")
        assert token is not None
        return token.strip(), tokens.verifier()
    value = parse(_read(claims), what="claims")
    # A string would be taken for a token; claims it is as little as null is.
    return None if isinstance(value, str) else value, None


def _what(resource: str | None, id_: str | None, engine: EngineName) -> "Value":
    """The resource or, as a string, its id."""
    require_one("access to what?", resource=resource, id_=id_)
    if id_ is not None:
        if engine is not EngineName.OPA:
            raise Misuse("--id asks for a resource that was pushed to an OPA: it needs --engine opa")
        return id_
    assert resource is not None
    try:
        text = resource if resource.lstrip().startswith("{") else _read(Path(resource))
    except FileNotFoundError:
        raise Misuse(f"`{resource}`: no such file or directory; if it is an id, give it by --id") from None
    value = parse(text, what="resource")
    # A string would be taken for an id; it is as little a resource as null is.
    return None if isinstance(value, str) else value


def _engine(name: EngineName, opa: OpaOptions, rule_set: "RuleSet", wasm: Path | None) -> "Engine":
    if wasm is not None and name is not EngineName.WASM:
        raise Misuse("--wasm is for --engine wasm")
    if name is EngineName.OPA:
        return OpaEngine(opa.client(), rule_set)
    if name is EngineName.REFERENCE:
        return ReferenceEngine(rule_set)
    if wasm is None and rule_set.token is None and rule_set != RuleSet():
        raise Misuse(
            "the Wasm build that comes with the package has the default settings: "
            "make one of yours with `jwt-bridge render --wasm FILE`, and give it by --wasm FILE"
        )
    if wasm is not None and not is_wasm(wasm):
        raise Misuse(f"`{wasm}`: the file is no Wasm; `jwt-bridge render --wasm FILE` makes one")
    try:
        return WasmEngine(rule_set, wasm=wasm)
    except EngineFault as fault:
        if wasm is None or type(fault) is not EngineFault:
            raise
        # Whoever names a file that is no such build has made a mistake; nothing has failed.
        raise Misuse(f"`{wasm}`: {str(fault).splitlines()[0]}") from None


def _read(path: Path) -> bytes:
    if path == Path("-"):
        return open_stdin().read(_MOST_INPUT)
    with path.open("rb") as file:
        return file.read(_MOST_INPUT)


def _decoded(data: bytes, what: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Misuse(f"{what} is not UTF-8") from None
