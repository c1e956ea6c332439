"""`jwt-bridge serve`: an OPA with the rules and with data, in the foreground."""

import socket
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.ending import told_errors
from bridge.cli.options import RuleSetOptions, TokenOptions
from bridge.cli.sources import collect, tell_refusals
from bridge.cli.terminal import say
from bridge.engines import OpaEngine
from bridge.errors import EngineUnreachable, Misuse
from bridge.opa import ManagedOpa, OpaClient, find_opa
from bridge.resources import push
from bridge.strict_json import encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.rendering import RuleSet
    from bridge.resources import Collected

_LOG_TOLD = 2_000
_PUSH_SECONDS = 300.0


def serve(
    *,
    devices: Annotated[Path | None, typer.Option("--devices", metavar="FILE", help="Devices, in JSON Lines.")] = None,
    sessions: Annotated[
        Path | None, typer.Option("--sessions", metavar="FILE", help="Sessions, in JSON Lines.")
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", metavar="TYPE=FILE", help="Resources of any type, in JSON Lines; once for each type."),
    ] = None,
    port: Annotated[
        int,
        typer.Option(
            "--port", metavar="PORT", min=0, max=65_535, help="Where to listen, on this machine only; 0: any free port."
        ),
    ] = 8181,
    opa: Annotated[
        Path | None,
        typer.Option(
            "--opa", metavar="PATH", help="The `opa` to run; without it, what JWT_BRIDGE_OPA names, or the one on PATH."
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show the log of `opa`, and tell every refused resource.")
    ] = False,
    rules: RuleSetOptions,
    tokens: TokenOptions,
) -> None:
    """Run an `opa` with the rules and with data, until Ctrl-C; for trying things out.

    It listens on this machine only, and lets everybody there ask and change everything.

    Exit status: 0 after Ctrl-C, 2 when nothing could be started, 3 when `opa` failed.

    Example: [bold]jwt-bridge serve --devices devices.jsonl --sessions sessions.jsonl[/bold]
    """
    with told_errors():
        rule_set = rules.rule_set(tokens.token_checks())
        resources = _collected(_files(devices, sessions, data or [], rule_set), verbose=verbose)
        executable = find_opa(opa)
        _refuse_taken(port)
        with (
            ManagedOpa(port=port, executable=executable, log_to=sys.stderr if verbose else None) as server,
            OpaClient(server.url, deadline=_PUSH_SECONDS) as client,
        ):
            engine = OpaEngine(client, rule_set)
            engine.install()
            stored = [
                f"{type_}: {push(engine.store, type_, collected, force=True).stored:,}"
                for type_, collected in resources.items()
            ]
            with _until_interrupted():
                _tell(server.url, rule_set, stored)
                status = server.wait()
                raise EngineUnreachable(
                    f"`opa` ended by itself, with exit status {status}; its log: {server.log[-_LOG_TOLD:].strip()}"
                )


def _files(devices: Path | None, sessions: Path | None, data: list[str], rule_set: "RuleSet") -> dict[str, Path]:
    """The file of each resource type."""
    given = [(name, path) for name, path in (("devices", devices), ("sessions", sessions)) if path is not None]
    for text in data:
        type_, separator, path = text.partition("=")
        if not separator or not path:
            raise Misuse(f"--data takes TYPE=FILE, not `{text}`")
        given.append((type_, Path(path)))
    files = dict(given)
    for type_ in files:
        if type_ not in rule_set.policy.types:
            raise Misuse(f"`{type_}` is not one of the resource types: {', '.join(rule_set.policy.types)}")
    if len(files) < len(given):
        raise Misuse("one resource type has more than one file")
    return files


def _collected(files: "Mapping[str, Path]", *, verbose: bool) -> "dict[str, Collected]":
    found = {type_: collect(path) for type_, path in files.items()}
    for type_, collected in found.items():
        tell_refusals((f"{type_}: {refusal}" for refusal in collected.refusals), everything=verbose)
    return found


def _refuse_taken(port: int) -> None:
    """Say so before an `opa` is started in vain."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise Misuse(f"the port {port} cannot be had ({why}): try another with --port") from None


def _tell(url: str, rule_set: "RuleSet", stored: list[str]) -> None:
    say(f"opa is serving {rule_set.package_root} at {url} ({', '.join(stored) or 'no data'})")
    type_ = rule_set.policy.types[0]
    if rule_set.token is None:
        subject: dict[str, object] = {"claims": {rule_set.policy.claim: {"version": 2, type_: {"id": "1"}}}}
    else:
        subject = {"token": "TOKEN"}
    body = encode({"input": {**subject, "type": type_, "resource": {"id": "1"}}}).decode("utf-8").replace("'", r"'\''")
    say(f"try:  curl -s {url}/v1/data/{rule_set.package_root.replace('.', '/')}/decision -d '{body}'")
    say("Ctrl-C ends it")


@contextmanager
def _until_interrupted() -> "Iterator[None]":
    try:
        yield
    except KeyboardInterrupt:
        say()
