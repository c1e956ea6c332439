"""`jwt-bridge render`: a rule set as Rego, and as Wasm."""

import re
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.exit import reported_errors
from bridge.cli.output_files import (
    after_writing,
    is_earlier_rendering,
    refuse_nested_rules,
    stale_modules,
    write_files,
)
from bridge.cli.rule_set_options import RuleSetOptions, WriteOption
from bridge.cli.terminal import draw, say
from bridge.cli.token_options import TokenOptions
from bridge.errors import UsageError
from bridge.escapes import escaped, shown
from bridge.rendering import PREBUILT, RuleSet, build_wasm, fingerprint, prebuilt_wasm, rego_root, settings_path
from bridge.rendering import render as modules_of


def render(
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write the modules below this folder; without it, show them."),
    ] = None,
    wasm: Annotated[
        Path | None,
        typer.Option("--wasm", metavar="FILE", help="Build the Wasm of the rules into this file, with an `opa`."),
    ] = None,
    opa: Annotated[
        Path | None,
        typer.Option(
            "--opa",
            metavar="PATH",
            help="The `opa` that builds; without it, what JWT_BRIDGE_OPA names, or the one on PATH.",
        ),
    ] = None,
    default: Annotated[
        bool,
        typer.Option("--default", help="The default rules and all Wasm that comes along, into the folder of --write."),
    ] = False,
    write: Annotated[
        Path | None,
        typer.Option("--write", metavar="DIR", help="The folder `rego` of a checkout; only with --default."),
    ] = None,
    write_rule_set: WriteOption = None,
    rules: RuleSetOptions,
    tokens: TokenOptions,
) -> None:
    r"""Show or write the Rego of a rule set, and build its Wasm.

    With --key or --jwks the rules verify tokens themselves; such rules run on an OPA server only.

    Files of an earlier run are replaced; a file that is something else is left alone, and nothing is written then. So
    are rules whose package root lies above or below this one. The module with the fingerprint is written last: without
    it, no bridge takes the others for a rule set.

    Examples:
      jwt-bridge render --package-root acme.jwt_policy --out policies
      jwt-bridge render --claim rights --out policies --wasm policy.wasm
      jwt-bridge render --require-policy --policy-version 2 --policy-version 3 \
        --write-rule-set rules.json
    """
    with reported_errors():
        if default != (write is not None):
            raise UsageError("--default and --write go together")
        rule_set = rules.with_checks(tokens)
        builds = {} if wasm is None else {wasm: rule_set}
        if write is not None:
            if out is not None or wasm is not None or rule_set != RuleSet():
                raise UsageError("--default takes no other settings, and --write is where all of it goes")
            out, builds = write, _prebuilt(write)
        modules = modules_of(rule_set)
        files = {} if out is None else {out / module.path: module.text.encode() for module in modules}
        stale: list[Path] = []
        if out is not None:
            refuse_nested_rules(out, rule_set.package_root)
            stale = stale_modules(out, rule_set.package_root, (module.path for module in modules))
        if write_rule_set is not None:
            if write_rule_set in (*files, *builds):
                raise UsageError(f"`{shown(write_rule_set)}` is named twice: each file needs a name of its own")
            files[write_rule_set] = rule_set.to_json().encode()
        files |= {path: build_wasm(built, executable=opa) for path, built in builds.items()}
        is_earlier = is_earlier_rendering(out, rule_set.package_root)
        write_files(files, is_earlier, last=None if out is None else out / settings_path(rule_set), stale=stale)
        with after_writing(files):
            for path, data in files.items():
                say(f"{shown(path)}  {len(data):,} bytes")
            for path in stale:
                say(f"{shown(path)}  removed: it is from an earlier run, and these rules have no such module")
            if files:
                say(f"fingerprint {fingerprint(rule_set)}")
        if not files:
            shown_modules = (f"# ----- {module.path}\n\n{_shown(module.text)}" for module in modules)
            draw("\n".join(shown_modules).removesuffix("\n"))


def _shown(text: str) -> str:
    """Rego that is shown: what is not printable stands in strings only, where an escape means the same."""
    return re.sub(r"[^\n\t]+", lambda match: escaped(match[0]), text)


def _prebuilt(rego: Path) -> dict[Path, RuleSet]:
    """The files of the Wasm that comes with the package, below a folder `rego`."""
    found = {}
    for rule_set in PREBUILT:
        path = prebuilt_wasm(rule_set)
        assert path is not None
        found[rego / path.relative_to(rego_root())] = rule_set
    return found
