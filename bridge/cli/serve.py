"""`jwt-bridge serve`: run an OPA with the rules and with data, in the foreground."""

import shlex
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.exit import reported_errors
from bridge.cli.input_files import OmitOption, SkipInvalidOption, print_rejected, read_resources
from bridge.cli.rule_set_options import RuleSetOptions, require_known_type
from bridge.cli.terminal import can_write, print_line
from bridge.cli.token_options import TokenOptions
from bridge.engines import OpaEngine
from bridge.errors import EngineUnreachableError, UsageError
from bridge.escapes import on_one_line
from bridge.opa import ManagedOpa, OpaClient, find_opa
from bridge.rendering import RuleSet
from bridge.store import LoadResult, push, refuse_invalid
from bridge.strict_json import encode, parse

_MAX_LOG_SHOWN = 2_000
_MAX_ID_SHOWN = 80
_PUSH_SECONDS = 300.0


def serve(
    *,
    devices: Annotated[
        Path | None, typer.Option("--devices", metavar="FILE", help="Devices: JSON Lines, or one JSON array.")
    ] = None,
    sessions: Annotated[
        Path | None, typer.Option("--sessions", metavar="FILE", help="Sessions: JSON Lines, or one JSON array.")
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            metavar="TYPE=FILE",
            help="Resources of any type: JSON Lines, or one JSON array; repeat it for more types.",
        ),
    ] = None,
    omit: OmitOption = None,
    skip_invalid: SkipInvalidOption = False,
    port: Annotated[
        int,
        typer.Option(
            "--port",
            metavar="PORT",
            min=0,
            max=65_535,
            help="The port to listen on, on this machine only; 0 chooses a free one.",
        ),
    ] = 8181,
    opa: Annotated[
        Path | None,
        typer.Option(
            "--opa",
            metavar="PATH",
            help="The `opa` to run; the default is the one that JWT_BRIDGE_OPA names, or the one on PATH.",
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show the log of `opa`, and every refused resource.")
    ] = False,
    rules: RuleSetOptions,
    tokens: TokenOptions,
) -> None:
    """Run an `opa` with the rules and with data until Ctrl-C, to try things out.

    It listens on this machine only. Every local user can query and change everything.

    Exit status: 0 after Ctrl-C, 2 if nothing could be started, 3 if `opa` failed.

    Examples:
      jwt-bridge serve --devices devices.jsonl --sessions sessions.jsonl
    """
    with reported_errors():
        rule_set = rules.with_token_checks(tokens)
        resources = {
            type_: read_resources(path, omit or ())
            for type_, path in _files(devices, sessions, data or [], rule_set).items()
        }
        _refuse_invalid(resources, skip_invalid=skip_invalid, verbose=verbose)
        executable = find_opa(opa)
        _require_free_port(port)
        with (
            ManagedOpa(port=port, executable=executable, log_to=sys.stderr if verbose else None) as server,
            OpaClient(server.url, deadline=_PUSH_SECONDS) as client,
        ):
            engine = OpaEngine(client, rule_set)
            engine.install()
            stored = [
                f"{type_}: {push(engine.store, type_, loaded, skip_invalid=skip_invalid, force=True).stored:,}"
                for type_, loaded in resources.items()
            ]
            with _until_interrupted():
                _print_started(server.url, rule_set, stored, resources)
                status = server.wait()
                raise EngineUnreachableError(
                    f"`opa` ended by itself, with exit status {status}; its log: "
                    f"{on_one_line(server.log[-_MAX_LOG_SHOWN:])}"
                )


def _files(devices: Path | None, sessions: Path | None, data: list[str], rule_set: "RuleSet") -> dict[str, Path]:
    """Return the file of each resource type."""
    pairs = [(name, path) for name, path in (("devices", devices), ("sessions", sessions)) if path is not None]
    for text in data:
        type_, separator, path = text.partition("=")
        if not separator or not path:
            raise UsageError(f"--data takes TYPE=FILE, not `{text}`")
        pairs.append((type_, Path(path)))
    files = dict(pairs)
    for type_ in files:
        require_known_type(type_, rule_set)
    if len(files) < len(pairs):
        raise UsageError("one resource type has more than one file: give one file for each type")
    return files


def _refuse_invalid(resources: "Mapping[str, LoadResult]", *, skip_invalid: bool, verbose: bool) -> None:
    """Print what is refused, and raise before anything is started if nothing would be pushed."""
    for type_, loaded in resources.items():
        print_rejected((f"{type_}: {refusal}" for refusal in loaded.rejected), everything=verbose)
        # The server is empty, so an empty file can remove nothing.
        refuse_invalid(loaded, skip_invalid=skip_invalid, force=True)


def _require_free_port(port: int) -> None:
    """Raise if the port is in use, before `opa` is started."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise UsageError(f"the port {port} is not available ({why}): choose another one with --port") from None


def _print_started(url: str, rule_set: "RuleSet", stored: list[str], resources: "Mapping[str, LoadResult]") -> None:
    print_line(f"opa is serving {rule_set.package_root} at {url} ({', '.join(stored) or 'no data'})")
    address = f"{url}/v1/data/{rule_set.package_root.replace('.', '/')}/decision"
    body = encode({"input": _sample_input(rule_set, resources)}, max_bytes=sys.maxsize).decode("utf-8")
    print_line(f"try:  curl -s {address} -d {shlex.quote(body)}")
    print_line("Ctrl-C ends it")


def _sample_input(rule_set: "RuleSet", resources: "Mapping[str, LoadResult]") -> dict[str, object]:
    """Return an input to try: about the first resource whose id is short and printable, or about a made-up one."""
    for type_, loaded in resources.items():
        for text in loaded.resources:
            id_ = parse(text)
            if isinstance(id_, str) and len(id_) <= _MAX_ID_SHOWN and id_.isprintable() and can_write(id_):
                return _sample_subject(rule_set, type_, id_) | {"id": id_}
    return _sample_subject(rule_set, rule_set.policy.types[0], "1") | {"resource": {"id": "1"}}


def _sample_subject(rule_set: "RuleSet", type_: str, id_: str) -> dict[str, object]:
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
        print_line()
