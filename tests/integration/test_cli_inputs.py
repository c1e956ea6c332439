"""What commands read, to its end or not at all: nothing that was cut off is ever decided on (R12.1)."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import jwt
import pytest
from cli_process import run, run_here
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bridge.files import INPUT_BYTES, KEY_BYTES, SETTING_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLAIMS = b'{"policy":{"version":2,"devices":{"id":"d1"}}}'
RESOURCE = b'{"id":"d1"}'
SECRET = b"0123456789abcdef0123456789abcdef"
MORE_THAN = f"more than {INPUT_BYTES:,} bytes, the most that are read of "


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a check needs, right."""
    folder = tmp_path_factory.mktemp("inputs")
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    claims = {**json.loads(CLAIMS), "exp": int(time.time()) + 3600}
    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    files = {
        "claims": CLAIMS,
        "resource": RESOURCE,
        "token": jwt.encode(claims, key, algorithm="RS256", headers={"kid": "k"}).encode(),
        "mac": jwt.encode(claims, SECRET, algorithm="HS256").encode(),
        "key": key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        "jwks": json.dumps({"keys": [{**jwk, "kid": "k"}]}).encode(),
        "secret": SECRET,
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def longer(path: Path, data: bytes, size: int, end: bytes = b"") -> Path:
    """A file that begins with `data` and has spaces up to `size`, and then `end`."""
    with path.open("wb") as file:
        file.write(data)
        while (left := size - file.tell()) > 0:
            file.write(b" " * min(left, 1 << 20))
        file.write(end)
    return path


@pytest.mark.parametrize("what", ["claims", "resource"])
@pytest.mark.parametrize("source", ["file", "stdin"])
def test_what_follows_the_limit_is_not_cut_off(folder, tmp_path, what, source) -> None:
    long = longer(tmp_path / what, (folder / what).read_bytes(), INPUT_BYTES, b"garbage")
    files = {"claims": folder / "claims", "resource": folder / "resource"}
    files[what] = "-" if source == "stdin" else long
    arguments = ["--type", "devices", "--claims", files["claims"], "--resource", files["resource"]]
    data = long.read_bytes() if source == "stdin" else b""
    done = run("check", *arguments, stdin=data, status=2)
    assert done.text == ""
    name = "standard input" if source == "stdin" else f"`{long}`"
    assert f"jwt-bridge: {name}: {MORE_THAN}" in done.stderr
    assert "is it the right file?" in done.stderr


@pytest.mark.parametrize("what", ["claims", "resource"])
def test_what_has_as_much_as_it_may_is_decided_on_and_one_byte_more_is_refused(folder, tmp_path, what) -> None:
    files = {"claims": folder / "claims", "resource": folder / "resource"}
    files[what] = longer(tmp_path / what, (folder / what).read_bytes(), INPUT_BYTES)
    arguments = ["check", "--type", "devices", "--claims", files["claims"], "--resource", files["resource"]]
    assert run_here(*arguments).text.startswith("allowed: matched\n")
    longer(files[what], (folder / what).read_bytes(), INPUT_BYTES, b" ")
    assert MORE_THAN in run_here(*arguments, status=2).stderr


KINDS = {
    "--token-file": ("token", SETTING_BYTES, ["--key", "key"]),
    "--key": ("key", KEY_BYTES, ["--token-file", "token"]),
    "--jwks": ("jwks", SETTING_BYTES, ["--token-file", "token"]),
    "--secret-file": ("secret", KEY_BYTES, ["--token-file", "mac"]),
    "--claims": ("claims", INPUT_BYTES, []),
    "--resource": ("resource", INPUT_BYTES, ["--claims", "claims"]),
}


def check(folder: Path, option: str, value: object, beside: list[str]) -> list[object]:
    others = [each if each.startswith("--") else folder / each for each in beside]
    resource = [] if option == "--resource" else ["--resource", folder / "resource"]
    return ["check", "--type", "devices", option, value, *others, *resource]


@pytest.mark.parametrize("option", KINDS)
def test_each_kind_of_file_is_refused_with_one_byte_too_many(folder, tmp_path, option) -> None:
    name, limit, beside = KINDS[option]
    data = (folder / name).read_bytes()
    assert run_here(*check(folder, option, folder / name, beside)).text.startswith("allowed: matched\n")
    long = longer(tmp_path / name, data, limit, b" ")
    done = run_here(*check(folder, option, long, beside), status=3 if option == "--jwks" else 2)
    assert done.text == ""
    assert f"more than {limit:,} bytes" in done.stderr
    assert str(long) in done.stderr


@contextmanager
def endless() -> Iterator[tuple[str, list[int]]]:
    """A file that gives zeros until nobody reads them, and how many it has given."""
    read, write = os.pipe()
    chunk_sizes: list[int] = []

    def give() -> None:
        try:
            while True:
                chunk_sizes.append(os.write(write, bytes(65_536)))
        except BrokenPipeError:
            os.close(write)

    giver = threading.Thread(target=give)
    giver.start()
    try:
        yield f"/dev/fd/{read}", chunk_sizes
    finally:
        os.close(read)
        giver.join()


@pytest.mark.parametrize("option", [name for name in KINDS if name != "--jwks"])
def test_no_more_is_read_of_what_does_not_end_than_one_byte_beyond_the_limit(folder, option) -> None:
    _, limit, beside = KINDS[option]
    with endless() as (file, chunk_sizes):
        assert f"more than {limit:,} bytes" in run_here(*check(folder, option, file, beside), status=2).stderr
    in_the_pipe = 2 * (1 << 20)
    assert limit < sum(chunk_sizes) <= limit + 1 + in_the_pipe


@pytest.mark.parametrize("option", KINDS)
def test_a_device_that_does_not_end(folder, option) -> None:
    _, _, beside = KINDS[option]
    done = run(*check(folder, option, "/dev/zero", beside), status=3 if option == "--jwks" else 2)
    assert "/dev/zero" in done.stderr
    assert done.text == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["install", "--opa-url", "http://127.0.0.1:1", "--opa-token-file"],
        ["install", "--opa-url", "https://127.0.0.1:1", "--opa-ca"],
        ["install", "--opa-url", "http://127.0.0.1:1", "--key"],
        ["render", "--jwks"],
        ["check", "--claims", "{claims}", "--type", "devices", "--resource", "{resource}", "--wasm"],
        ["decide"],
        ["push", "--type", "devices", "--opa-url", "{opa}"],
        ["sync", "--type", "devices", "--opa-url", "{opa}"],
        ["serve", "--devices"],
    ],
    ids=lambda arguments: " ".join(arguments[:1] + arguments[-1:]),
)
def test_no_command_follows_a_device_that_does_not_end(folder, start_opa, monkeypatch, arguments) -> None:
    monkeypatch.setattr("bridge.cli.input_files.MAX_UNENDED_BYTES", 4 << 20)
    monkeypatch.setattr("bridge.cli.input_files.MAX_LINE_BYTES", 2 << 20)
    known = {"claims": folder / "claims", "resource": folder / "resource"}
    if "{opa}" in arguments:
        known["opa"] = start_opa().url
    done = run_here(*(each.format(**known) for each in arguments), "/dev/zero", status=2)
    assert done.text == ""
    assert done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ["--opa-ca", "{pipe}"],
        ["--opa-certificate", "{pipe}", "--opa-key", "{key}"],
        ["--opa-certificate", "{key}", "--opa-key", "{pipe}"],
    ],
    ids=["ca", "certificate", "key"],
)
def test_certificates_are_not_read_from_what_may_not_end(folder, tmp_path, options) -> None:
    """OpenSSL skips lines that are no PEM, so it could read such a pipe for ever."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "key").write_bytes(b"")
    tls_options = [each.format(pipe=tmp_path / "pipe", key=tmp_path / "key") for each in options]
    arguments = ["--claims", folder / "claims", "--type", "devices", "--resource", folder / "resource"]
    done = run_here("check", *arguments, "--engine", "opa", "--opa-url", "https://127.0.0.1:1", *tls_options, status=2)
    assert "a pipe or a device, of which nothing tells the length" in done.stderr


@pytest.mark.parametrize("name", ["policy.wasm", "rules"])
def test_a_file_in_the_way_is_not_read_without_an_end(tmp_path, name) -> None:
    (tmp_path / name).symlink_to("/dev/zero")
    option = "--wasm" if name == "policy.wasm" else "--out"
    run_here("render", option, tmp_path / name, status=2)
    assert (tmp_path / name).is_symlink()
