"""`jwt-bridge render`: render a rule set as Rego, and build its Wasm."""

import re
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.exit import reported_errors
from bridge.cli.output_files import (
    after_writing,
    refuse_nested_rules,
    rendering_may_replace,
    stale_modules,
    write_files,
)
from bridge.cli.rule_set_options import RuleSetOptions, WriteOption
from bridge.cli.terminal import print_line, print_styled
from bridge.cli.token_options import TokenOptions
from bridge.errors import UsageError
from bridge.escapes import escaped, shown
from bridge.rendering import PREBUILT, RuleSet, build_wasm, fingerprint, prebuilt_wasm, rego_root, settings_path
from bridge.rendering import render as modules_of


def render(
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write the modules below this folder; the default is to print them."),
    ] = None,
    wasm: Annotated[
        Path | None,
        typer.Option("--wasm", metavar="FILE", help="Build the Wasm of the rules into this file; this needs an `opa`."),
    ] = None,
    opa: Annotated[
        Path | None,
        typer.Option(
            "--opa",
            metavar="PATH",
            help="The `opa` that builds; the default is the one that JWT_BRIDGE_OPA names, or the one on PATH.",
        ),
    ] = None,
    default: Annotated[
        bool,
        typer.Option(
            "--default", help="Write the default rules and all Wasm of the package into the folder of --write."
        ),
    ] = False,
    write: Annotated[
        Path | None,
        typer.Option("--write", metavar="DIR", help="The folder `rego` of a checkout; only with --default."),
    ] = None,
    write_rule_set: WriteOption = None,
    rules: RuleSetOptions,
    tokens: TokenOptions,
) -> None:
    r"""Print or write the Rego of a rule set, and build its Wasm.

    With --key or --jwks the rules verify tokens themselves; such rules run on an OPA server only.

    The command replaces files of an earlier run. If a foreign file has one of their names, or the folder has rules
    whose package root lies above or below this one, it writes nothing. It writes the module with the fingerprint last:
    without that module, no bridge accepts the others as a rule set.

    Examples:
      jwt-bridge render --package-root acme.jwt_policy --out policies
      jwt-bridge render --claim rights --out policies --wasm policy.wasm
      jwt-bridge render --require-policy --policy-version 2 --policy-version 3 \
        --write-rule-set rules.json
    """
    with reported_errors():
        if default != (write is not None):
            raise UsageError("one of --default and --write is missing: give both or neither")
        rule_set = rules.with_token_checks(tokens)
        builds = {} if wasm is None else {wasm: rule_set}
        if write is not None:
            if out is not None or wasm is not None or rule_set != RuleSet():
                raise UsageError(
                    "--default takes no other settings, and writes all files below --write: leave out the other options"
                )
            out, builds = write, _prebuilt(write)
        modules = modules_of(rule_set)
        files = {} if out is None else {out / module.path: module.text.encode() for module in modules}
        stale: list[Path] = []
        if out is not None:
            refuse_nested_rules(out, rule_set.package_root)
            stale = stale_modules(out, rule_set.package_root, (module.path for module in modules))
        if write_rule_set is not None:
            if write_rule_set in (*files, *builds):
                raise UsageError(f"`{shown(write_rule_set)}` is named twice: each file needs its own name")
            files[write_rule_set] = rule_set.to_json().encode()
        files |= {path: build_wasm(built, executable=opa) for path, built in builds.items()}
        may_replace = rendering_may_replace(out, rule_set.package_root)
        write_files(files, may_replace, last=None if out is None else out / settings_path(rule_set), stale=stale)
        with after_writing(files):
            for path, data in files.items():
                print_line(f"{shown(path)}  {len(data):,} bytes")
            for path in stale:
                print_line(f"{shown(path)}  removed: an earlier run wrote it, and these rules have no such module")
            if files:
                print_line(f"fingerprint {fingerprint(rule_set)}")
        if not files:
            shown_modules = (f"# ----- {module.path}\n\n{_printable(module.text)}" for module in modules)
            print_styled("\n".join(shown_modules).removesuffix("\n"))


def _printable(text: str) -> str:
    """Escape what is not printable in Rego: it occurs in strings only, where an escape means the same."""
    return re.sub(r"[^\n\t]+", lambda match: escaped(match[0]), text)


def _prebuilt(rego: Path) -> dict[Path, RuleSet]:
    """Return the Wasm files of the package below a folder `rego`, with the rule set of each."""
    files = {}
    for rule_set in PREBUILT:
        path = prebuilt_wasm(rule_set)
        assert path is not None
        files[rego / path.relative_to(rego_root())] = rule_set
    return files
