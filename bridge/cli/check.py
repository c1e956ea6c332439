"""`jwt-bridge check`: one token, one resource, explained."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from bridge.cli.ending import Exit, end, told_errors
from bridge.cli.explained import as_json, error_as_json, tell
from bridge.cli.options import EngineName, EngineOption, OpaOptions, RuleSetOptions, VerifierOptions, read_text
from bridge.cli.sources import open_stdin
from bridge.client import PolicyBridge
from bridge.engines import OpaEngine, ReferenceEngine, WasmEngine
from bridge.errors import BridgeError, EngineFault, InvalidToken, KeysUnavailable, MalformedInput, Misuse
from bridge.strict_json import parse

if TYPE_CHECKING:
    from bridge.client import Explanation
    from bridge.engines import Engine
    from bridge.rendering import RuleSet
    from bridge.strict_json import Value
    from bridge.tokens import TokenVerifier

_MOST_INPUT = 64 * 1024 * 1024
_SUBJECT = "Whose access"
_RESOURCE = "To what"


def check(
    *,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="TEXT",
            help="The token; better a file or the variable JWT, which nobody sees among the processes.",
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
    """Check whether a token lets its bearer access a resource, and explain why or why not.

    The token is verified first. The OPA of `--engine opa` must have the rules: `jwt-bridge install` uploads them.

    Exit status: 0 allowed, 1 denied, 2 for misuse or a token that is not valid, 3 when the engine failed or the keys
    cannot be had.

    Example: [bold]jwt-bridge check --token-file token.txt --key public.pem --type devices --resource device.json[/bold]

    Example: [bold]jwt-bridge check --claims claims.json --type sessions --id 12345 --engine opa[/bold]
    """
    with told_errors():
        try:
            if [str(each) for each in (token_file, claims, resource)].count("-") > 1:
                raise Misuse("standard input can be only one thing")
            subject, verifier = _subject(token, token_file, claims, tokens)
            what = _what(resource, id_, engine)
            rule_set = rules.rule_set(tokens.token_checks() if token_rules else None)
            with PolicyBridge(_engine(engine, opa, rule_set, wasm), verifier=verifier) as bridge:
                explanation = bridge.explain(subject, type_, what)
        except (EngineFault, InvalidToken, KeysUnavailable, MalformedInput) as error:
            _fail(error, json=json)
        _answer(explanation, json=json)
        raise typer.Exit(Exit.OK if explanation.decision.allow else Exit.DENIED)


def _fail(error: BridgeError, *, json: bool) -> NoReturn:
    if json:
        _write(error_as_json(error))
    if isinstance(error, InvalidToken):
        end(f"invalid token ({error.code}): {error}", Exit.MISUSE)
    raise error


def _answer(explanation: "Explanation", *, json: bool) -> None:
    if json:
        _write(as_json(explanation))
    else:
        tell(explanation)


def _write(line: bytes) -> None:
    typer.echo(line + b"\n", nl=False)


def _subject(
    token: str | None, token_file: Path | None, claims: Path | None, tokens: VerifierOptions
) -> "tuple[Any, TokenVerifier | None]":
    """The token with what verifies it, or claims."""
    given = sum(each is not None for each in (token, token_file, claims))
    if given == 0:
        token = os.environ.get("JWT") or None
    if given > 1 or (given == 0 and token is None):
        raise Misuse("whose access? Give one of --token, --token-file and --claims, or set JWT")
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
    if (resource is None) == (id_ is None):
        raise Misuse("access to what? Give one of --resource and --id")
    if id_ is not None:
        if engine is not EngineName.OPA:
            raise Misuse("--id asks for a resource that was pushed to an OPA: it needs --engine opa")
        return id_
    assert resource is not None
    value = parse(resource if resource.lstrip().startswith("{") else _read(Path(resource)), what="resource")
    # A string would be taken for an id; it is as little a resource as null is.
    return None if isinstance(value, str) else value


def _engine(name: EngineName, opa: OpaOptions, rule_set: "RuleSet", wasm: Path | None) -> "Engine":
    if wasm is not None and name is not EngineName.WASM:
        raise Misuse("--wasm is for --engine wasm")
    if name is EngineName.OPA:
        return OpaEngine(opa.client(), rule_set)
    return WasmEngine(rule_set, wasm=wasm) if name is EngineName.WASM else ReferenceEngine(rule_set)


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
