"""`jwt-bridge demo`: five signed tokens, a dozen resources, and who may access what."""

from __future__ import annotations

import os
import textwrap
import time
from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from shutil import which
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bridge.cli.bearer_options import warn_of_misspelt
from bridge.cli.demo_data import EXAMPLES, RESOURCES, SPARE
from bridge.cli.exit import Exit, end, reported_errors
from bridge.cli.output_files import after_writing, write_files
from bridge.cli.temporary_rules import temporary_engine
from bridge.cli.terminal import draw, say
from bridge.client import PolicyBridge
from bridge.engines import WasmEngine
from bridge.errors import BridgeError, ConfigurationError, EngineError, OpaNotFoundError
from bridge.escapes import escaped
from bridge.opa import ManagedOpa, OpaClient, find_opa
from bridge.opa.executable import VARIABLE
from bridge.tokens import TokenVerifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bridge.decision import Decision
    from bridge.engines import OpaEngine

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
            help="Leave the public key, the tokens and the resources in this folder, to try the other commands with.",
        ),
    ] = None,
) -> None:
    """Sign five tokens, and show what each of them lets its bearer access.

    The policies of the tokens are the five examples of the service's documentation, the last with a session id as the
    service makes them. The tokens are signed with a key made on the spot, verified, and decided on by the Wasm build of
    the rules in this process: neither an OPA nor a network is needed. Where there is an OPA, by OPA_URL, JWT_BRIDGE_OPA
    or PATH, it is asked as well, in roots of its own that are removed afterwards.

    The private key is never written. Files of an earlier run are replaced; a file that is something else is left alone,
    and nothing is written then.

    Exit status: 0; 2 when the files cannot be written; 3 if the two do not agree.

    Examples:
      jwt-bridge demo
      jwt-bridge demo --out try-it
    """
    from bridge.cli import demo_output  # noqa: PLC0415 - rich is slow to import, and only needed here

    with reported_errors():
        verifier, pem, (tokens, spare) = _signed()
        if out is not None:
            files = demo_output.files(out, pem, spare, tokens)
            write_files(files, lambda _, there, new: demo_output.is_earlier(there, new))
            with after_writing(files):
                _show(verifier, tokens, [*tokens, spare])
                say()
                for line in demo_output.told(out, audience=_AUDIENCE, issuer=_LICENSE, hours=_HOURS):
                    say(line)
        else:
            _show(verifier, tokens, [*tokens, spare])


def _show(verifier: TokenVerifier, tokens: Sequence[str], handed_out: Iterable[str]) -> None:
    """Say what each token lets its bearer access, and that all who are asked agree."""
    from bridge.cli import demo_output  # noqa: PLC0415 - rich is slow to import, and only needed here

    with PolicyBridge(WasmEngine(), verifier=verifier) as bridge:
        decisions = _decided(bridge, tokens, by_id=False)
        warn_of_misspelt_tokens(bridge, handed_out)
    say("Five tokens, signed by a key made just now (RS256), and verified:")
    say()
    draw(demo_output.policies())
    say("What they let their bearers access, by the Rego rules in this process (Wasm).")
    say("By mark, reason and meaning:")
    say()
    draw(demo_output.matrix(_rows(decisions)))
    _ask_opa(verifier, tokens, decisions)


def warn_of_misspelt_tokens(bridge: PolicyBridge, tokens: Iterable[str]) -> None:
    """Warn of tokens that are handed out and restrict nothing, though they have what looks like a policy."""
    for token in tokens:
        decision = bridge.check(token, _TYPES[0], RESOURCES[_TYPES[0]][0])
        warn_of_misspelt(decision, bridge.verify(token), bridge.engine.rule_set.policy)


def _signed() -> tuple[TokenVerifier, bytes, tuple[list[str], str]]:
    """A verifier, its public key in PEM, a token for each example, and one to try things with."""
    import jwt  # noqa: PLC0415 - the one place that signs
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


def _decided(bridge: PolicyBridge, tokens: Sequence[str], *, by_id: bool) -> dict[tuple[str, int], list[Decision]]:
    """For each resource type and token the decision on each of the resources."""
    return {
        (type_, number): bridge.check_many(
            token, type_, [resource["id"] for resource in RESOURCES[type_]] if by_id else RESOURCES[type_]
        )
        for type_ in _TYPES
        for number, token in enumerate(tokens)
    }


def _rows(decisions: dict[tuple[str, int], list[Decision]]) -> dict[str, list[tuple[Decision, ...]]]:
    """By resource type a row for each resource, with a decision for each token."""
    return {
        type_: list(zip(*(decisions[type_, number] for number in range(len(EXAMPLES))), strict=True))
        for type_ in _TYPES
    }


def _ask_opa(verifier: TokenVerifier, tokens: Sequence[str], decisions: dict[tuple[str, int], list[Decision]]) -> None:
    try:
        with _opa() as (name, engine):
            bridge = PolicyBridge(engine, verifier=verifier)
            for type_, resources in RESOURCES.items():
                bridge.push(type_, resources)
            answers = [_decided(bridge, tokens, by_id=by_id) for by_id in (False, True)]
    except (EngineError, OpaNotFoundError, ConfigurationError) as error:
        for line in textwrap.wrap(_why_not_asked(error), 80, break_long_words=False, break_on_hyphens=False):
            say(line)
        return
    wanted = [decision.as_dict() for each in decisions.values() for decision in each]
    for answer in answers:
        found = [decision.as_dict() for each in answer.values() for decision in each]
        if found != wanted:
            same = sum(one == other for one, other in zip(found, wanted, strict=True))
            end(f"{name} agrees on {same} of {len(wanted)} decisions only", Exit.FAULT)
    say(f"{name} was asked as well,")
    say(f"with the resources and by their ids, and agrees on all {len(wanted)} decisions.")


def _why_not_asked(error: BridgeError) -> str:
    if url := os.environ.get("OPA_URL"):
        # What is no address may be anything, a password too.
        address = "" if isinstance(error, ConfigurationError) and "@" in url else f", `{url}`,"
        return escaped(f"No OPA was asked as well: the one that OPA_URL names{address} cannot be asked: {error}")
    if os.environ.get(VARIABLE) or which("opa"):
        return escaped(f"No OPA was asked as well: {error}")
    return (
        "That is all, and nothing more is needed. With an `opa` on PATH, or the address of an OPA in OPA_URL, "
        "the demo asks it too, and shows that both agree."
    )


@contextmanager
def _opa() -> Iterator[tuple[str, OpaEngine]]:
    """The OPA at hand and what to call it.

    Raises:
        OpaNotFoundError: There is none.
        EngineError: It cannot be asked.
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
