"""`jwt-bridge check`: one token, one resource, explained."""

import os
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.bearer_options import BearerOptions, warn_of_misspelt
from bridge.cli.exit import Exit, reported_errors
from bridge.cli.input_files import read_input
from bridge.cli.options import EngineName, EngineOption, OpaOptions, refuse_opa_options, require_one
from bridge.cli.output_files import is_wasm
from bridge.cli.render_decision import as_json, error_as_json, print_decision
from bridge.cli.rule_set_options import RuleSetOptions, TokenRulesOption
from bridge.cli.token_options import VerifierOptions
from bridge.client import PolicyBridge
from bridge.engines import Engine, OpaEngine, ReferenceEngine, WasmEngine
from bridge.errors import (
    EngineError,
    InvalidTokenError,
    KeysUnavailableError,
    MalformedInputError,
    UsageError,
)
from bridge.rendering import RuleSet, prebuilt_wasm
from bridge.strict_json import Value, parse

_PANEL = "Resource"


def check(
    *,
    context: typer.Context,
    bearer: BearerOptions,
    type_: Annotated[
        str,
        typer.Option("--type", metavar="NAME", help="The resource type, such as devices.", rich_help_panel=_PANEL),
    ],
    resource: Annotated[
        str | None,
        typer.Option(
            "--resource",
            metavar="FILE|JSON",
            help="A file with the resource in JSON; `-` reads standard input; a text that begins with { is the JSON.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    id_: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="TEXT",
            help="The id of a resource that was pushed to the OPA server.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    engine: EngineOption = EngineName.WASM,
    wasm: Annotated[
        Path | None,
        typer.Option("--wasm", metavar="FILE", help="A Wasm build of other rules, made by `jwt-bridge render --wasm`."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as one line of JSON.")] = False,
    opa: OpaOptions,
    rules: RuleSetOptions,
    tokens: VerifierOptions,
    token_rules: TokenRulesOption = False,
) -> None:
    r"""Check whether a token lets its bearer access a resource, and explain why or why not.

    The command verifies the token first. With `--engine opa` the OPA server must have the rules: `jwt-bridge install`
    uploads them.

    Exit status: 0 if allowed, 1 if denied, 2 for a usage error or an invalid token, 3 if the engine failed or the keys
    are unavailable.

    Examples:
      jwt-bridge check --token-file agent.jwt --key public.pem \
        --audience https://cobrowse.io --issuer LICENSE-KEY \
        --type devices --resource device.json

      On an OPA server that has the rules (`install`) and the sessions (`push`):
      jwt-bridge check --claims claims.json \
        --type sessions --id nRYFUksL_zZF8m7v-F27eQ \
        --engine opa --opa-url http://127.0.0.1:8181
    """
    with reported_errors():
        try:
            refuse_opa_options(context, engine)
            if [str(each) for each in (bearer.token_file, bearer.claims, resource)].count("-") > 1:
                raise UsageError("standard input holds one thing only: give files for the others")
            rule_set = rules.queried_rule_set(tokens, token_rules=token_rules)
            token_or_claims, verifier = bearer.read(context, tokens, rule_set.token)
            resource_or_id = _resource_or_id(resource, id_, engine)
            decider = _engine(engine, opa, rule_set, wasm)
            with PolicyBridge(decider, verifier=verifier) as bridge:
                claims = token_or_claims if verifier is None else bridge.verify(token_or_claims)
                explanation = bridge.explain(token_or_claims, type_, resource_or_id)
        except InvalidTokenError as error:
            if json:
                _write_line(error_as_json(error))
            bearer.exit_invalid_token(error)
        except (EngineError, KeysUnavailableError, MalformedInputError) as error:
            if json:
                _write_line(error_as_json(error))
            raise
        if json:
            _write_line(as_json(explanation))
        else:
            print_decision(explanation, claims, rule_set.policy, by=_describe(decider))
        warn_of_misspelt(explanation.decision, claims, rule_set.policy)
        raise typer.Exit(Exit.OK if explanation.decision.allow else Exit.DENIED)


def _describe(engine: "Engine") -> str:
    """Return in words which engine decided."""
    return f"opa, at {engine.opa.url}" if isinstance(engine, OpaEngine) else f"{engine.name}, in this process"


def _write_line(line: bytes) -> None:
    typer.echo(line + b"\n", nl=False)


def _resource_or_id(resource: str | None, id_: str | None, engine: EngineName) -> "Value":
    """Return the resource or, as a string, its id."""
    require_one("the resource", resource=resource, id_=id_)
    if id_ is not None:
        if engine is not EngineName.OPA:
            raise UsageError(
                "--id names a resource that was pushed to an OPA server, so it needs --engine opa: give that too"
            )
        return id_
    assert resource is not None
    try:
        # Python turns what is not UTF-8 in an argument into surrogates; this takes the original bytes.
        is_inline = resource.lstrip().startswith("{")
        text = os.fsencode(resource) if is_inline else read_input(Path(resource), "a resource")
    except FileNotFoundError:
        raise UsageError(f"`{resource}`: no such file or directory; if it is an id, give it by --id") from None
    value = parse(text, what="resource")
    # The bridge would take a string for an id; as a resource it is as malformed as null.
    return None if isinstance(value, str) else value


def _engine(name: EngineName, opa: OpaOptions, rule_set: "RuleSet", wasm: Path | None) -> "Engine":
    if wasm is not None and name is not EngineName.WASM:
        raise UsageError("--wasm is for --engine wasm: leave one of them out")
    if name is EngineName.OPA:
        return OpaEngine(opa.client(), rule_set)
    if name is EngineName.REFERENCE:
        return ReferenceEngine(rule_set)
    if wasm is None and rule_set.token is None and prebuilt_wasm(rule_set) is None:
        raise UsageError(
            "the package has no Wasm build for these settings, only for the default claim, resource types and roots: "
            "build it with `jwt-bridge render --wasm FILE`, and give it by --wasm FILE"
        )
    if wasm is not None and not is_wasm(wasm):
        raise UsageError(f"`{wasm}`: the file is not Wasm: build one with `jwt-bridge render --wasm FILE`")
    try:
        return WasmEngine(rule_set, wasm=wasm)
    except EngineError as fault:
        if wasm is None or type(fault) is not EngineError:
            raise
        # The user named a file that is not such a build: that is a usage error, not a fault.
        raise UsageError(f"`{wasm}`: {str(fault).splitlines()[0]}") from None
