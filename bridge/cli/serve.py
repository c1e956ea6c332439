"""`jwt-bridge serve`: an OPA with the rules and with data, in the foreground."""

import shlex
import socket
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.exit import reported_errors
from bridge.cli.resource_options import OmitOption, SkipInvalidOption, collect, tell_refusals
from bridge.cli.rule_set_options import RuleSetOptions
from bridge.cli.terminal import can_write, say
from bridge.cli.token_options import TokenOptions
from bridge.engines import OpaEngine
from bridge.errors import EngineUnreachableError, UsageError
from bridge.escapes import shown
from bridge.opa import ManagedOpa, OpaClient, find_opa
from bridge.opa.wording import on_one_line
from bridge.store import push, refuse_invalid
from bridge.strict_json import encode, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.rendering import RuleSet
    from bridge.store import LoadResult

_LOG_TOLD = 2_000
_ID_SHOWN = 80
_PUSH_SECONDS = 300.0


def serve(
    *,
    devices: Annotated[
        Path | None, typer.Option("--devices", metavar="FILE", help="Devices: JSON Lines, or one JSON array.")
    ] = None,
    sessions: Annotated[Path | None, typer.Option("--sessions", metavar="FILE", help="Sessions, likewise.")] = None,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", metavar="TYPE=FILE", help="Resources of any type, likewise; once for each type."),
    ] = None,
    omit: OmitOption = None,
    skip_invalid: SkipInvalidOption = False,
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

    Examples:
      jwt-bridge serve --devices devices.jsonl --sessions sessions.jsonl
    """
    with reported_errors():
        rule_set = rules.with_checks(tokens)
        resources = {
            type_: collect(path, omit or ()) for type_, path in _files(devices, sessions, data or [], rule_set).items()
        }
        _refuse_invalid(resources, skip_invalid=skip_invalid, verbose=verbose)
        executable = find_opa(opa)
        _refuse_taken(port)
        with (
            ManagedOpa(port=port, executable=executable, log_to=sys.stderr if verbose else None) as server,
            OpaClient(server.url, deadline=_PUSH_SECONDS) as client,
        ):
            engine = OpaEngine(client, rule_set)
            engine.install()
            stored = [
                f"{type_}: {push(engine.store, type_, collected, skip_invalid=skip_invalid, force=True).stored:,}"
                for type_, collected in resources.items()
            ]
            with _until_interrupted():
                _tell(server.url, rule_set, stored, resources)
                status = server.wait()
                raise EngineUnreachableError(
                    f"`opa` ended by itself, with exit status {status}; its log: {on_one_line(server.log[-_LOG_TOLD:])}"
                )


def _files(devices: Path | None, sessions: Path | None, data: list[str], rule_set: "RuleSet") -> dict[str, Path]:
    """The file of each resource type."""
    given = [(name, path) for name, path in (("devices", devices), ("sessions", sessions)) if path is not None]
    for text in data:
        type_, separator, path = text.partition("=")
        if not separator or not path:
            raise UsageError(f"--data takes TYPE=FILE, not `{text}`")
        given.append((type_, Path(path)))
    files = dict(given)
    for type_ in files:
        if type_ not in rule_set.policy.types:
            raise UsageError(f"`{shown(type_)}` is not one of the resource types: {', '.join(rule_set.policy.types)}")
    if len(files) < len(given):
        raise UsageError("one resource type has more than one file")
    return files


def _refuse_invalid(resources: "Mapping[str, LoadResult]", *, skip_invalid: bool, verbose: bool) -> None:
    """Say what is refused, and stop before anything is started where nothing would be pushed."""
    for type_, collected in resources.items():
        tell_refusals((f"{type_}: {refusal}" for refusal in collected.rejected), everything=verbose)
        # There is nothing yet that an empty file could remove.
        refuse_invalid(collected, skip_invalid=skip_invalid, force=True)


def _refuse_taken(port: int) -> None:
    """Say so before an `opa` is started in vain."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise UsageError(f"the port {port} cannot be had ({why}): try another with --port") from None


def _tell(url: str, rule_set: "RuleSet", stored: list[str], resources: "Mapping[str, LoadResult]") -> None:
    say(f"opa is serving {rule_set.package_root} at {url} ({', '.join(stored) or 'no data'})")
    address = f"{url}/v1/data/{rule_set.package_root.replace('.', '/')}/decision"
    body = encode({"input": _question(rule_set, resources)}, max_bytes=sys.maxsize).decode("utf-8")
    say(f"try:  curl -s {address} -d {shlex.quote(body)}")
    say("Ctrl-C ends it")


def _question(rule_set: "RuleSet", resources: "Mapping[str, LoadResult]") -> dict[str, object]:
    """What can be asked: about the first resource whose id is fit to be shown, or about a made-up one."""
    for type_, collected in resources.items():
        for text in collected.resources:
            id_ = parse(text)
            if isinstance(id_, str) and len(id_) <= _ID_SHOWN and id_.isprintable() and can_write(id_):
                return _asked(rule_set, type_, id_) | {"id": id_}
    return _asked(rule_set, rule_set.policy.types[0], "1") | {"resource": {"id": "1"}}


def _asked(rule_set: "RuleSet", type_: str, id_: str) -> dict[str, object]:
    if rule_set.token is not None:
        return {"token": "TOKEN", "type": type_}
    return {
        "claims": {rule_set.policy.claim: {"version": min(rule_set.policy.versions), type_: {"id": id_}}},
        "type": type_,
    }


@contextmanager
def _until_interrupted() -> "Iterator[None]":
    try:
        yield
    except KeyboardInterrupt:
        say()
