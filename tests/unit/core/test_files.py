"""Reading what others name, to its end or not at all."""

from __future__ import annotations

import io
import os
import threading

import pytest

from bridge import ConfigurationError, KeysUnavailableError, OpaClient, StaticKey, UsageError, WasmEngine, files
from bridge.cli.input_files import chunks_of_lines
from bridge.conformance.vectors import cases
from bridge.files import CHUNK, INPUT_BYTES, read_chunks, read_file, read_stream, refuse_unbounded_file
from bridge.tokens import JwksFile, JwksUrl


class Endless(io.RawIOBase):
    """Zeros without an end, which counts what is taken of them."""

    taken = 0

    def readable(self):
        return True

    def readinto(self, buffer):
        self.taken += len(buffer)
        return len(buffer)


@pytest.mark.parametrize("limit", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_what_has_the_limit_is_read_and_what_has_a_byte_more_is_refused(tmp_path, limit):
    file = tmp_path / "file"
    file.write_bytes(b"x" * limit)
    assert read_file(file, limit=limit, what="a token") == b"x" * limit
    file.write_bytes(b"x" * limit + b" ")
    with pytest.raises(UsageError) as refused:
        read_file(file, limit=limit, what="a token")
    assert str(refused.value) == (
        f"`{file}`: more than {limit:,} bytes, the most that are read of a token; nothing of it is used: "
        "is it the right file?"
    )


@pytest.mark.parametrize("limit", [10, 5 * CHUNK])
def test_one_byte_more_than_the_limit_is_read_and_no_other(limit):
    endless = Endless()
    with pytest.raises(UsageError, match=r"\Astandard input: more than "):
        read_stream(endless, limit=limit, what="claims", name="standard input")
    assert endless.taken == limit + 1


def test_a_stream_that_gives_little_at_a_time_is_read_to_its_end():
    class Slow(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 3))

    assert read_stream(Slow(b"0123456789"), limit=10, what="a token", name="it") == b"0123456789"
    with pytest.raises(UsageError):
        read_stream(Slow(b"0123456789a"), limit=10, what="a token", name="it")


def test_a_stream_that_does_not_wait_has_not_ended():
    class Waiting(io.BytesIO):
        def read(self, size=-1):
            return super().read(size) or None

    for read in (lambda stream: read_stream(stream, limit=10, what="x", name="x"), lambda s: list(read_chunks(s))):
        with pytest.raises(BlockingIOError, match="it has not ended"):
            read(Waiting(b"{}"))


def test_a_pipe_is_read_like_a_file():
    def read_of(data):
        read, write = os.pipe()
        writer = threading.Thread(target=lambda: (os.write(write, data), os.close(write)))
        writer.start()
        try:
            return read_file(f"/dev/fd/{read}", limit=5, what="a token")
        finally:
            writer.join()
            os.close(read)

    assert read_of(b"12345") == b"12345"
    with pytest.raises(UsageError):
        read_of(b"123456")


def test_a_file_that_a_library_reads_is_measured_first(tmp_path):
    file = tmp_path / "ca.pem"
    file.write_bytes(b"x" * 11)
    refuse_unbounded_file(file, limit=11, what="certificates")
    with pytest.raises(UsageError, match="more than 10 bytes, the most that are read of certificates"):
        refuse_unbounded_file(file, limit=10, what="certificates")
    os.mkfifo(tmp_path / "pipe")
    for endless in ("/dev/zero", tmp_path / "pipe"):
        with pytest.raises(
            UsageError, match=r"a pipe or a device, of which nothing tells .*: give certificates in a file"
        ):
            refuse_unbounded_file(endless, limit=10, what="certificates")
    with pytest.raises(IsADirectoryError):
        refuse_unbounded_file(tmp_path, limit=10, what="certificates")
    with pytest.raises(FileNotFoundError):
        refuse_unbounded_file(tmp_path / "none", limit=10, what="certificates")


def test_a_long_name_is_told_in_part():
    name = "x" * 600
    with pytest.raises(OSError, match="too long"):
        read_file(name, limit=1, what="x")
    assert files._quoted(name) == f"`{'x' * 500}...`"


@pytest.fixture
def long_file(tmp_path):
    """A file that has more bytes than anything may have."""
    file = tmp_path / "long"
    with file.open("wb") as opened:
        opened.truncate(INPUT_BYTES + 1)
    return file


def a_client_certificate(file):
    return OpaClient("https://127.0.0.1:1", client_certificate=(file, file))


@pytest.mark.parametrize(
    ("error", "use"),
    [
        (ConfigurationError, StaticKey.from_pem_file),
        (KeysUnavailableError, lambda file: JwksFile(file).key_for("a")),
        (ConfigurationError, lambda file: JwksUrl("https://127.0.0.1/", ca=file)),
        (ConfigurationError, lambda file: WasmEngine(wasm=file)),
        (ConfigurationError, lambda file: OpaClient("https://127.0.0.1:1", ca=file)),
        (ConfigurationError, a_client_certificate),
        (UsageError, lambda file: cases(files.Path(file))),
    ],
    ids=["key", "jwks", "jwks ca", "wasm", "opa ca", "client certificate", "vectors"],
)
def test_every_setting_that_names_a_file_refuses_one_that_is_too_long(long_file, error, use):
    with pytest.raises(error, match=r"more than [0-9,]+ bytes"):
        use(long_file)


@pytest.mark.parametrize(
    ("error", "use"),
    [
        (ConfigurationError, StaticKey.from_pem_file),
        (KeysUnavailableError, lambda file: JwksFile(file).key_for("a")),
        (ConfigurationError, lambda file: JwksUrl("https://127.0.0.1/", ca=file)),
        (ConfigurationError, lambda file: WasmEngine(wasm=file)),
        (ConfigurationError, lambda file: OpaClient("https://127.0.0.1:1", ca=file)),
        (ConfigurationError, a_client_certificate),
        (UsageError, lambda file: cases(files.Path(file))),
    ],
    ids=["key", "jwks", "jwks ca", "wasm", "opa ca", "client certificate", "vectors"],
)
def test_every_setting_that_names_a_file_ends_with_one_that_does_not_end(error, use):
    with pytest.raises(error):
        use("/dev/zero")


def test_a_line_that_does_not_end_is_given_up(monkeypatch):
    read = []

    def zeros(_descriptor, size):
        read.append(size)
        return bytes(size)

    monkeypatch.setattr("bridge.cli.input_files.MAX_LINE_BYTES", 3 << 20)
    monkeypatch.setattr("bridge.cli.input_files.MAX_UNENDED_BYTES", 8 << 20)
    monkeypatch.setattr(os, "read", zeros)
    with pytest.raises(UsageError, match="a line of more than 8,388,608 bytes, and no end of it"):
        list(chunks_of_lines(0))
    assert sum(read) == 9 << 20
