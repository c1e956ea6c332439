"""`jwt-bridge demo`: sign five tokens, and show which of a dozen resources each may access."""

from __future__ import annotations

import os
import textwrap
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Annotated, Final

import typer

from bridge.cli.bearer_options import warn_of_misspelt
from bridge.cli.demo_data import EXAMPLES, RESOURCES, SPARE
from bridge.cli.exit import Exit, end, reported_errors
from bridge.cli.output_files import after_writing, write_files
from bridge.cli.temporary_rules import temporary_engine
from bridge.cli.terminal import print_line, print_styled
from bridge.client import PolicyBridge
from bridge.decision import Decision
from bridge.engines import OpaEngine, WasmEngine
from bridge.errors import BridgeError, ConfigurationError, EngineError, OpaNotFoundError
from bridge.escapes import escaped
from bridge.opa import ManagedOpa, OpaClient, find_opa
from bridge.opa.executable import VARIABLE
from bridge.tokens import TokenVerifier

_AUDIENCE: Final = "https://cobrowse.io"
_LICENSE: Final = "LICENSE-KEY"
_HOURS: Final = 24
_TYPES: Final = tuple(RESOURCES)


def demo(
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Write the public key, the tokens and the resources into this folder, to try the other commands with.",
        ),
    ] = None,
) -> None:
    """Sign five tokens, and show what each of them lets its bearer access.

    The policies are the five examples of the service's documentation; the last one has a session id as the service
    makes them. The command creates a key, signs and verifies the tokens, and decides with the Wasm build of the rules
    in this process: it needs neither an OPA nor a network. If OPA_URL, JWT_BRIDGE_OPA or PATH names an OPA, the command
    compares its decisions, in temporary roots that it removes afterwards.

    The private key is never written. The command replaces files of an earlier run. If another file has one of their
    names, it writes nothing.

    Exit status: 0 on success, 2 if the files cannot be written, 3 if the decisions differ.

    Examples:
      jwt-bridge demo
      jwt-bridge demo --out try-it
    """
    from bridge.cli import demo_output  # noqa: PLC0415 - rich is slow to import, and only needed here

    with reported_errors():
        verifier, pem, (tokens, spare) = _sign_tokens()
        if out is not None:
            files = demo_output.files(out, pem, spare, tokens)
            write_files(files, lambda _, existing, new: demo_output.may_replace(existing, new))
            with after_writing(files):
                _show(verifier, tokens, [*tokens, spare])
                print_line()
                for line in demo_output.next_steps(out, audience=_AUDIENCE, issuer=_LICENSE, hours=_HOURS):
                    print_line(line)
        else:
            _show(verifier, tokens, [*tokens, spare])


def _show(verifier: TokenVerifier, tokens: Sequence[str], written_tokens: Iterable[str]) -> None:
    """Print what each token lets its bearer access, and whether the OPA at hand agrees."""
    from bridge.cli import demo_output  # noqa: PLC0415 - rich is slow to import, and only needed here

    with PolicyBridge(WasmEngine(), verifier=verifier) as bridge:
        decisions = _decide_all(bridge, tokens, by_id=False)
        warn_of_misspelt_tokens(bridge, written_tokens)
    print_line("Five tokens, signed by a key made just now (RS256), and verified:")
    print_line()
    print_styled(demo_output.policy_table())
    print_line("What they let their bearers access, by the Rego rules in this process (Wasm).")
    print_line("By mark, reason and meaning:")
    print_line()
    print_styled(demo_output.decision_table(_rows(decisions)))
    _compare_with_opa(verifier, tokens, decisions)


def warn_of_misspelt_tokens(bridge: PolicyBridge, tokens: Iterable[str]) -> None:
    """Warn of tokens that restrict nothing although they have a member that looks like a policy."""
    for token in tokens:
        decision = bridge.check(token, _TYPES[0], RESOURCES[_TYPES[0]][0])
        warn_of_misspelt(decision, bridge.verify(token), bridge.engine.rule_set.policy)


def _sign_tokens() -> tuple[TokenVerifier, bytes, tuple[list[str], str]]:
    """Return a verifier, its public key in PEM, a token for each example, and the spare token."""
    import jwt  # noqa: PLC0415 - nothing else signs tokens
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 - as above

    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    now = int(time.time())
    tokens = []
    for example in (*EXAMPLES, SPARE):
        claims = {"aud": _AUDIENCE, "iss": _LICENSE, "sub": example.agent, "iat": now, "exp": now + _HOURS * 3600}
        tokens.append(jwt.encode({**claims, "policy": example.policy}, key, algorithm="RS256"))
    verifier = TokenVerifier(key.public_key(), audience=_AUDIENCE, issuer=_LICENSE, required=("sub", "iat"))
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return verifier, pem, (tokens[:-1], tokens[-1])


def _decide_all(bridge: PolicyBridge, tokens: Sequence[str], *, by_id: bool) -> dict[tuple[str, int], list[Decision]]:
    """Return the decisions on all resources of a type, by resource type and index of the token."""
    return {
        (type_, number): bridge.check_many(
            token, type_, [resource["id"] for resource in RESOURCES[type_]] if by_id else RESOURCES[type_]
        )
        for type_ in _TYPES
        for number, token in enumerate(tokens)
    }


def _rows(decisions: dict[tuple[str, int], list[Decision]]) -> dict[str, list[tuple[Decision, ...]]]:
    """Return by resource type a row for each resource, with a decision for each token."""
    return {
        type_: list(zip(*(decisions[type_, number] for number in range(len(EXAMPLES))), strict=True))
        for type_ in _TYPES
    }


def _compare_with_opa(
    verifier: TokenVerifier, tokens: Sequence[str], decisions: dict[tuple[str, int], list[Decision]]
) -> None:
    try:
        with _opa() as (name, engine):
            bridge = PolicyBridge(engine, verifier=verifier)
            for type_, resources in RESOURCES.items():
                bridge.push(type_, resources)
            answers = [_decide_all(bridge, tokens, by_id=by_id) for by_id in (False, True)]
    except (EngineError, OpaNotFoundError, ConfigurationError) as error:
        for line in textwrap.wrap(_why_not_compared(error), 80, break_long_words=False, break_on_hyphens=False):
            print_line(line)
        return
    expected = [decision.as_dict() for each in decisions.values() for decision in each]
    for answer in answers:
        actual = [decision.as_dict() for each in answer.values() for decision in each]
        if actual != expected:
            same = sum(one == other for one, other in zip(actual, expected, strict=True))
            end(
                f"{name} agrees on {same} of {len(expected)} decisions only: please report which release it is",
                Exit.FAULT,
            )
    print_line(f"{name} decided as well,")
    print_line(f"with the resources and by their ids, and agrees on all {len(expected)} decisions.")


def _why_not_compared(error: BridgeError) -> str:
    if url := os.environ.get("OPA_URL"):
        # A text that is no address may be anything, a password too.
        address = "" if isinstance(error, ConfigurationError) and "@" in url else f", `{url}`,"
        return escaped(f"No OPA was compared: the one that OPA_URL names{address} cannot be queried: {error}")
    if os.environ.get(VARIABLE) or which("opa"):
        return escaped(f"No OPA was compared: {error}")
    return (
        "That is all, and nothing more is needed. With an `opa` on PATH, or the address of an OPA in OPA_URL, "
        "the demo queries it too, and shows that both agree."
    )


@contextmanager
def _opa() -> Iterator[tuple[str, OpaEngine]]:
    """Give the OPA at hand: how to name it, and an engine with temporary rules.

    Raises:
        OpaNotFoundError: There is none.
        EngineError: It cannot be queried.
        ConfigurationError: OPA_URL is no URL of an OPA.
    """
    if url := os.environ.get("OPA_URL"):
        with OpaClient(url) as client, temporary_engine(client, "demo") as engine:
            yield f"The OPA at {client.url}", engine
        return
    executable = find_opa()
    with (
        ManagedOpa(executable=executable) as opa,
        OpaClient(opa.url) as client,
        temporary_engine(client, "demo") as engine,
    ):
        yield f"An OPA, started from `{executable}`,", engine
