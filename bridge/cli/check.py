"""`jwt-bridge check`: one token, one resource, explained."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.bearer_options import BearerOptions, warn_of_misspelt
from bridge.cli.exit import Exit, reported_errors
from bridge.cli.input_files import read_input
from bridge.cli.options import EngineName, EngineOption, OpaOptions, refuse_opa_options, require_one
from bridge.cli.output_files import is_wasm
from bridge.cli.render_decision import as_json, error_as_json, tell
from bridge.cli.rule_set_options import RuleSetOptions, TokenRulesOption
from bridge.cli.token_options import VerifierOptions
from bridge.client import PolicyBridge
from bridge.engines import OpaEngine, ReferenceEngine, WasmEngine
from bridge.errors import (
    EngineError,
    InvalidTokenError,
    KeysUnavailableError,
    MalformedInputError,
    UsageError,
)
from bridge.rendering import prebuilt_wasm
from bridge.strict_json import parse

if TYPE_CHECKING:
    from bridge.engines import Engine
    from bridge.rendering import RuleSet
    from bridge.strict_json import Value

_RESOURCE = "To what"


def check(
    *,
    context: typer.Context,
    subject: BearerOptions,
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
    token_rules: TokenRulesOption = False,
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
      jwt-bridge check --claims claims.json \
        --type sessions --id nRYFUksL_zZF8m7v-F27eQ \
        --engine opa --opa-url http://127.0.0.1:8181
    """
    with reported_errors():
        try:
            refuse_opa_options(context, engine)
            if [str(each) for each in (subject.token_file, subject.claims, resource)].count("-") > 1:
                raise UsageError("standard input can be only one thing")
            rule_set = rules.asked(tokens, token_rules=token_rules)
            whose, verifier = subject.read(context, tokens, rule_set.token)
            what = _what(resource, id_, engine)
            decider = _engine(engine, opa, rule_set, wasm)
            with PolicyBridge(decider, verifier=verifier) as bridge:
                claims = whose if verifier is None else bridge.verify(whose)
                explanation = bridge.explain(whose, type_, what)
        except InvalidTokenError as error:
            if json:
                _write(error_as_json(error))
            subject.refuse(error)
        except (EngineError, KeysUnavailableError, MalformedInputError) as error:
            if json:
                _write(error_as_json(error))
            raise
        if json:
            _write(as_json(explanation))
        else:
            tell(explanation, claims, rule_set.policy, by=_named(decider))
        warn_of_misspelt(explanation.decision, claims, rule_set.policy)
        raise typer.Exit(Exit.OK if explanation.decision.allow else Exit.DENIED)


def _named(engine: "Engine") -> str:
    """What decided, for a person."""
    return f"opa, at {engine.opa.url}" if isinstance(engine, OpaEngine) else f"{engine.name}, in this process"


def _write(line: bytes) -> None:
    typer.echo(line + b"\n", nl=False)


def _what(resource: str | None, id_: str | None, engine: EngineName) -> "Value":
    """The resource or, as a string, its id."""
    require_one("access to what?", resource=resource, id_=id_)
    if id_ is not None:
        if engine is not EngineName.OPA:
            raise UsageError("--id asks for a resource that was pushed to an OPA: it needs --engine opa")
        return id_
    assert resource is not None
    try:
        # As the bytes that were given: in an argument Python has made surrogates of what is not UTF-8.
        is_inline = resource.lstrip().startswith("{")
        text = os.fsencode(resource) if is_inline else read_input(Path(resource), "a resource")
    except FileNotFoundError:
        raise UsageError(f"`{resource}`: no such file or directory; if it is an id, give it by --id") from None
    value = parse(text, what="resource")
    # A string would be taken for an id; it is as little a resource as null is.
    return None if isinstance(value, str) else value


def _engine(name: EngineName, opa: OpaOptions, rule_set: "RuleSet", wasm: Path | None) -> "Engine":
    if wasm is not None and name is not EngineName.WASM:
        raise UsageError("--wasm is for --engine wasm")
    if name is EngineName.OPA:
        return OpaEngine(opa.client(), rule_set)
    if name is EngineName.REFERENCE:
        return ReferenceEngine(rule_set)
    if wasm is None and rule_set.token is None and prebuilt_wasm(rule_set) is None:
        raise UsageError(
            "no Wasm build of these settings comes with the package, only those of the default claim, resource types "
            "and roots: make one of yours with `jwt-bridge render --wasm FILE`, and give it by --wasm FILE"
        )
    if wasm is not None and not is_wasm(wasm):
        raise UsageError(f"`{wasm}`: the file is no Wasm; `jwt-bridge render --wasm FILE` makes one")
    try:
        return WasmEngine(rule_set, wasm=wasm)
    except EngineError as fault:
        if wasm is None or type(fault) is not EngineError:
            raise
        # Whoever names a file that is no such build has made a mistake; nothing has failed.
        raise UsageError(f"`{wasm}`: {str(fault).splitlines()[0]}") from None
