"""`jwt-bridge conformance`: the vectors, asked of any engine."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bridge.cli.exit import Exit, reported_errors
from bridge.cli.options import EngineName, EngineOption, OpaOptions, given_options, refuse_opa_options
from bridge.cli.progress import case_counter
from bridge.cli.rule_set_options import RuleSetOptions  # noqa: TC001 - typer reads it from the signature
from bridge.cli.temporary_rules import temporary_engine
from bridge.cli.terminal import draw, drawn, say
from bridge.cli.token_options import TokenOptions  # noqa: TC001 - as above
from bridge.conformance.runner import Report, require_distinct_names, run_policies, run_tokens
from bridge.conformance.targets import OpaTarget, ReferenceTarget, WasmTarget
from bridge.conformance.token_cases import token_cases
from bridge.conformance.vector_files import policy_files, require_vectors, token_files, vectors_root
from bridge.conformance.vectors import cases
from bridge.decision import Request
from bridge.engines import OpaEngine, ReferenceEngine, WasmEngine
from bridge.errors import OpaNotFoundError, UsageError
from bridge.escapes import shown
from bridge.policy import PolicySettings
from bridge.rendering import RuleSet, build_wasm, prebuilt_wasm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

    from bridge.conformance.runner import Row
    from bridge.conformance.targets import Target, TargetFactory
    from bridge.opa import OpaClient

_NO_BUILD: Final = "they are for other settings, whose Wasm an `opa` would have to build, and there is none"
_OTHER_SETTINGS: Final = "they are for other settings than those of the rules there"
_HEADS: Final = ("cases", "passed", "differing", "not run")
_COLUMN: Final = 11
_SHOWN: Final = 2_000
_ANYTHING: Final = Request(claims=None, type=None)


def conformance(
    context: typer.Context,
    *,
    engine: EngineOption = EngineName.WASM,
    vectors: Annotated[
        Path | None,
        typer.Option("--vectors", metavar="DIR", help="Other vectors than those that come with the package."),
    ] = None,
    write: Annotated[
        bool,
        typer.Option(
            "--write",
            help="Bring rules and data to the OPA, in roots of their own that are removed afterwards: all cases run.",
        ),
    ] = False,
    opa: OpaOptions,
    rules: RuleSetOptions,
    tokens: TokenOptions,
) -> None:
    """Run the conformance vectors, and show each case that is answered otherwise than the rule book wants.

    With `--engine opa` the rules that are installed there are asked, and nothing is written: cases that ask for stored
    resources, and those for other settings than the rules have, are not run. With --write all cases are run, on rules
    that are uploaded to roots of their own and removed afterwards; what is there already is neither used nor touched.
    That needs an operator's rights on the OPA, as `jwt-bridge install` does.

    Refused texts and tokens are put to this package's reader and verifier, whatever the engine.

    Exit status: 0 when all that was run is as it must be, 1 when anything differs, 2 for misuse or malformed vectors,
    3 when the engine failed or has other rules.

    Examples:
      jwt-bridge conformance
      jwt-bridge conformance --engine opa --opa-url http://127.0.0.1:8181
    """
    with reported_errors():
        _refuse_idle_options(context, engine, write=write)
        folder = vectors_root() if vectors is None else vectors
        require_vectors(folder)
        policies, token_vectors = policy_files(folder), token_files(folder)
        require_distinct_names(policies, token_vectors)
        total = sum(len(cases(path)) for path in policies) + sum(len(token_cases(path)) for path in token_vectors)
        rule_set = rules.with_checks(tokens)
        report = Report()
        with _subjects(engine, opa, rule_set, write=write) as (name, subject_of), case_counter(total) as done:
            run_policies(policies, subject_of, report, done)
            run_tokens(token_vectors, report, done)
        _refuse_nothing_asked(report)
        say(f"Asked: {name}")
        say()
        draw(_table(report))
        if report.differences:
            say()
            draw(drawn(_differences(report)).rstrip("\n"))
            raise typer.Exit(Exit.DENIED)


def _refuse_idle_options(context: typer.Context, engine: EngineName, *, write: bool) -> None:
    """Refuse options that would not count."""
    refuse_opa_options(context, engine)
    if write and engine is not EngineName.OPA:
        raise UsageError("--write is for --engine opa")
    given = [*given_options(context, "rules"), *given_options(context, "tokens")]
    if given and (write or engine is not EngineName.OPA):
        raise UsageError(f"{', '.join(given)}: which rules are asked is told with --engine opa, and without --write")


@contextmanager
def _subjects(
    engine: EngineName, opa: OpaOptions, rule_set: RuleSet, *, write: bool
) -> Iterator[tuple[str, TargetFactory]]:
    """What is asked: in words, and by settings."""
    if engine is EngineName.REFERENCE:
        yield "the reference", lambda policy: ReferenceTarget(ReferenceEngine(RuleSet(policy=policy)))
        return
    with ExitStack() as stack:
        if engine is EngineName.WASM:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="jwt-bridge-")))
            yield "the Wasm build of the rules", cache(lambda policy: _wasm(policy, folder))
            return
        client = stack.enter_context(opa.client())
        if write:
            yield f"the OPA at {client.url}, with rules of our own", stack.enter_context(_guests(client))
            return
        installed = OpaEngine(client, rule_set)
        installed.decide([_ANYTHING])  # the rules are there, and are those
        subject = OpaTarget(installed, writes=False)
        same = _settled(rule_set.policy)
        yield (
            f"the rules at `{rule_set.package_root}` on the OPA at {client.url}",
            lambda policy: subject if _settled(policy) == same else _OTHER_SETTINGS,
        )


@contextmanager
def _guests(client: OpaClient) -> Iterator[TargetFactory]:
    """Rules of our own, by settings: the default ones for the whole run, and of others the latest.

    OPA compiles all of its modules anew for each that comes, so that a dozen rule sets at once would take minutes.
    """
    with ExitStack() as usual, ExitStack() as latest:
        known: dict[PolicySettings, Target] = {}

        def subject_of(policy: PolicySettings) -> Target:
            key = _settled(policy)
            if key in known:
                return known[key]
            stack = usual if key == PolicySettings() else latest
            if stack is latest:
                latest.close()
                for other in known.keys() - {PolicySettings()}:
                    del known[other]
            engine = stack.enter_context(temporary_engine(client, "conformance", key))
            known[key] = OpaTarget(engine, writes=True)
            return known[key]

        yield subject_of


def _settled(policy: PolicySettings) -> PolicySettings:
    """The settings with the types in one order, which means nothing."""
    return replace(policy, types=tuple(sorted(policy.types)))


def _wasm(policy: PolicySettings, folder: Path) -> WasmTarget | str:
    rule_set = RuleSet(policy=policy)
    if prebuilt_wasm(rule_set) is not None:
        return WasmTarget(WasmEngine(rule_set))
    path = folder / f"{len(list(folder.iterdir()))}.wasm"
    try:
        path.write_bytes(build_wasm(rule_set))
    except OpaNotFoundError:
        return _NO_BUILD
    return WasmTarget(WasmEngine(rule_set, wasm=path))


def _refuse_nothing_asked(report: Report) -> None:
    """Nothing but cases that were not run is no agreement."""
    if report.left_out and not report.asked:
        raise UsageError(f"nothing could be asked: {'; '.join(report.left_out)}; with --write all cases are run")


def _table(report: Report) -> str:
    """A row for each file, one for all of them, and why cases were not run."""
    from rich.text import Text  # noqa: PLC0415 - slow to import, and seldom needed

    width = max(len(name) for name in ("all", *(shown(row.file) for row in report.rows)))
    lines = [Text(f"{'file':<{width}}" + "".join(f"{head:>{_COLUMN}}" for head in _HEADS), style="bold")]
    lines += [_row(shown(row.file), row, width) for row in report.rows]
    lines.append(_row("all", report.total, width, style="bold"))
    if report.left_out:
        lines.append(Text())
    for why, times in report.left_out.most_common():
        lines.append(Text(f"{times:,} not run: {why}", style="yellow"))
    return drawn(lines).rstrip("\n")


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
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
