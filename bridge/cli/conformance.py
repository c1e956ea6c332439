"""`jwt-bridge conformance`: run the vectors on any engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import typer
from rich.text import Text

from bridge.cli.exit import Exit, reported_errors
from bridge.cli.options import EngineName, EngineOption, OpaOptions, options_on_command_line, refuse_opa_options
from bridge.cli.rule_set_options import RuleSetOptions
from bridge.cli.temporary_rules import temporary_engine
from bridge.cli.terminal import case_counter, print_line, print_styled, styled_text
from bridge.cli.token_options import TokenOptions
from bridge.conformance.runner import Report, Row, require_distinct_names, run_policies, run_tokens
from bridge.conformance.targets import OpaTarget, ReferenceTarget, Target, TargetFactory, WasmTarget
from bridge.conformance.token_cases import token_cases
from bridge.conformance.vectors import cases, policy_files, require_vectors, token_files, vectors_root
from bridge.decision import Request
from bridge.engines import OpaEngine, ReferenceEngine, WasmEngine
from bridge.errors import OpaNotFoundError, UsageError
from bridge.escapes import shown
from bridge.opa import OpaClient
from bridge.policy import PolicySettings
from bridge.rendering import RuleSet, build_wasm, prebuilt_wasm

_NO_BUILD: Final = "their settings need a Wasm build of their own, and no `opa` was found that can build it"
_OTHER_SETTINGS: Final = "their settings are not those of the installed rules"
_HEADS: Final = ("cases", "passed", "differing", "not run")
_COLUMN: Final = 11
_MAX_SHOWN: Final = 2_000
_PROBE: Final = Request(claims=None, type=None)


def conformance(
    context: typer.Context,
    *,
    engine: EngineOption = EngineName.WASM,
    vectors: Annotated[
        Path | None,
        typer.Option(
            "--vectors", metavar="DIR", help="A folder of vectors, in place of those that come with the package."
        ),
    ] = None,
    write: Annotated[
        bool,
        typer.Option(
            "--write",
            help="Run all cases: upload rules and data to temporary roots on the OPA server; remove them afterwards.",
        ),
    ] = False,
    opa: OpaOptions,
    rules: RuleSetOptions,
    tokens: TokenOptions,
) -> None:
    """Run the conformance vectors, and show each case whose answer differs from the rule book.

    With `--engine opa` the command queries the installed rules and writes nothing. It does not run cases that need
    stored resources, or other settings than the rules have. With --write it runs all cases: it uploads rules to
    temporary roots and removes them afterwards, and neither uses nor changes what the OPA server has already. That
    needs the rights of an operator on the OPA server, as `jwt-bridge install` does.

    This package's own reader and verifier judge the malformed texts and the tokens, whatever the engine is.

    Exit status: 0 if every case that ran passed, 1 if one differs, 2 for a usage error or malformed vectors, 3 if the
    engine failed or has other rules.

    Examples:
      jwt-bridge conformance
      jwt-bridge conformance --engine opa --opa-url http://127.0.0.1:8181
    """
    with reported_errors():
        _refuse_unused_options(context, engine, write=write)
        folder = vectors_root() if vectors is None else vectors
        require_vectors(folder)
        policies, token_vectors = policy_files(folder), token_files(folder)
        require_distinct_names(policies, token_vectors)
        total = sum(len(cases(path)) for path in policies) + sum(len(token_cases(path)) for path in token_vectors)
        rule_set = rules.with_token_checks(tokens)
        report = Report()
        with _open_target(engine, opa, rule_set, write=write) as (name, target_of), case_counter(total) as count:
            run_policies(policies, target_of, report, count)
            run_tokens(token_vectors, report, count)
        _require_answers(report)
        print_line(f"Target: {name}")
        print_line()
        print_styled(_report_table(report))
        if report.differences:
            print_line()
            print_styled(styled_text(_differences(report)).rstrip("\n"))
            raise typer.Exit(Exit.DENIED)


def _refuse_unused_options(context: typer.Context, engine: EngineName, *, write: bool) -> None:
    """Refuse options that would have no effect."""
    refuse_opa_options(context, engine)
    if write and engine is not EngineName.OPA:
        raise UsageError("--write is for --engine opa: leave it out, or choose that engine")
    names = [*options_on_command_line(context, "rules"), *options_on_command_line(context, "tokens")]
    if names and (write or engine is not EngineName.OPA):
        raise UsageError(f"{', '.join(names)}: options of the rules need --engine opa, and no --write")


@contextmanager
def _open_target(
    engine: EngineName, opa: OpaOptions, rule_set: RuleSet, *, write: bool
) -> Iterator[tuple[str, TargetFactory]]:
    """Give the target that runs the cases: its description, and a function that returns it for given settings."""
    if engine is EngineName.REFERENCE:
        yield "the reference", lambda policy: ReferenceTarget(ReferenceEngine(RuleSet(policy=policy)))
        return
    with ExitStack() as stack:
        if engine is EngineName.WASM:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="jwt-bridge-")))
            yield "the Wasm build of the rules", cache(lambda policy: _wasm_target(policy, folder))
            return
        client = stack.enter_context(opa.client())
        if write:
            yield f"the OPA at {client.url}, with temporary rules", stack.enter_context(_temporary_targets(client))
            return
        installed = OpaEngine(client, rule_set)
        installed.decide([_PROBE])  # raises if the rules are missing or are others
        target = OpaTarget(installed, writes=False)
        installed_settings = _normalized(rule_set.policy)
        yield (
            f"the rules at `{rule_set.package_root}` on the OPA at {client.url}",
            lambda policy: target if _normalized(policy) == installed_settings else _OTHER_SETTINGS,
        )


@contextmanager
def _temporary_targets(client: OpaClient) -> Iterator[TargetFactory]:
    """Give a function that returns the target for some settings, with temporary rules.

    It keeps the default rules for the whole run, and of the others the latest only: OPA compiles all of its modules
    again for each upload, so a dozen rule sets at once would take minutes.
    """
    with ExitStack() as default, ExitStack() as latest:
        targets: dict[PolicySettings, Target] = {}

        def target_of(policy: PolicySettings) -> Target:
            key = _normalized(policy)
            if key in targets:
                return targets[key]
            stack = default if key == PolicySettings() else latest
            if stack is latest:
                latest.close()
                for other in targets.keys() - {PolicySettings()}:
                    del targets[other]
            engine = stack.enter_context(temporary_engine(client, "conformance", key))
            targets[key] = OpaTarget(engine, writes=True)
            return targets[key]

        yield target_of


def _normalized(policy: PolicySettings) -> PolicySettings:
    """Return the settings with the types sorted; their order has no meaning."""
    return replace(policy, types=tuple(sorted(policy.types)))


def _wasm_target(policy: PolicySettings, folder: Path) -> WasmTarget | str:
    rule_set = RuleSet(policy=policy)
    if prebuilt_wasm(rule_set) is not None:
        return WasmTarget(WasmEngine(rule_set))
    path = folder / f"{len(list(folder.iterdir()))}.wasm"
    try:
        path.write_bytes(build_wasm(rule_set))
    except OpaNotFoundError:
        return _NO_BUILD
    return WasmTarget(WasmEngine(rule_set, wasm=path))


def _require_answers(report: Report) -> None:
    """Raise if no case was run: that is no agreement."""
    if report.left_out and not report.query_count:
        raise UsageError(f"no case was run: {'; '.join(report.left_out)}; --write runs all cases")


def _report_table(report: Report) -> str:
    """Return a row for each file, a row for all of them, and the reasons why cases were not run."""
    from rich.text import Text  # noqa: PLC0415 - slow to import, and seldom needed

    width = max(len(name) for name in ("all", *(shown(row.file) for row in report.rows)))
    lines = [Text(f"{'file':<{width}}" + "".join(f"{head:>{_COLUMN}}" for head in _HEADS), style="bold")]
    lines += [_row(shown(row.file), row, width) for row in report.rows]
    lines.append(_row("all", report.total, width, style="bold"))
    if report.left_out:
        lines.append(Text())
    for why, times in report.left_out.most_common():
        lines.append(Text(f"{times:,} not run: {why}", style="yellow"))
    return styled_text(lines).rstrip("\n")


def _differences(report: Report) -> Iterator[Text]:
    from rich.text import Text  # noqa: PLC0415 - slow to import, and seldom needed

    for difference in report.differences:
        yield Text.assemble(
            (shown(difference.name), "bold red"),
            f"  {shown(difference.file)}, {', '.join(difference.rules)}; asked by {', '.join(difference.strategies)}",
        )
        yield Text(f"  expected  {_cut(difference.expected)}")
        yield Text(f"  actual    {_cut(difference.actual)}")


def _row(name: str, row: Row, width: int, style: str = "") -> Text:
    from rich.text import Text  # noqa: PLC0415 - slow to import, and seldom needed

    line = Text(f"{name:<{width}}", style=style)
    colours = ("", "green", "red", "yellow")
    for number, colour in zip((row.cases, row.passed, row.differing, row.not_run), colours, strict=True):
        line.append(f"{number:>{_COLUMN},}", style=colour if number else "")
    return line


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."
