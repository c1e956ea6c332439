"""Options that several commands have, and what they make."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bridge.errors import Misuse
from bridge.opa import OpaClient


class EngineName(StrEnum):
    """The engines."""

    WASM = "wasm"
    REFERENCE = "reference"
    OPA = "opa"


_OPA = "An OPA server"

EngineOption = Annotated[EngineName, typer.Option("--engine", help="What decides.")]
OpaUrl = Annotated[
    str | None,
    typer.Option(
        "--opa-url",
        envvar="OPA_URL",
        metavar="URL",
        help="Where OPA is, such as http://127.0.0.1:8181.",
        rich_help_panel=_OPA,
    ),
]
OpaTokenFile = Annotated[
    Path | None,
    typer.Option(
        "--opa-token-file", metavar="FILE", help="A file with the bearer token for OPA.", rich_help_panel=_OPA
    ),
]
OpaCa = Annotated[
    Path | None,
    typer.Option(
        "--opa-ca", metavar="FILE", help="The certificate authorities to trust, in PEM.", rich_help_panel=_OPA
    ),
]
OpaCertificate = Annotated[
    Path | None,
    typer.Option("--opa-certificate", metavar="FILE", help="Our certificate for OPA, in PEM.", rich_help_panel=_OPA),
]
OpaKey = Annotated[
    Path | None,
    typer.Option("--opa-key", metavar="FILE", help="The key of our certificate, in PEM.", rich_help_panel=_OPA),
]
OpaDeadline = Annotated[
    float,
    typer.Option(
        "--opa-deadline", metavar="SECONDS", min=0.001, help="How long one call to OPA may take.", rich_help_panel=_OPA
    ),
]


def opa_client(
    url: str | None,
    token_file: Path | None,
    ca: Path | None,
    certificate: Path | None,
    key: Path | None,
    deadline: float,
) -> OpaClient:
    """The client for the OPA that the options speak of.

    Raises:
        Misuse: An option is missing, or cannot be used.
        OSError: The token's file cannot be read.
    """
    if url is None:
        raise Misuse("where is OPA? Give --opa-url, or set OPA_URL")
    if (certificate is None) != (key is None):
        raise Misuse("--opa-certificate and --opa-key go together")
    return OpaClient(
        url,
        token=None if token_file is None else token_file.read_text(encoding="utf-8").strip(),
        ca=ca,
        client_certificate=None if certificate is None or key is None else (certificate, key),
        deadline=deadline,
    )
