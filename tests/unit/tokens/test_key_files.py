"""Keys in a file: when it is read again, and what makes the keys unavailable."""

from __future__ import annotations

import io
import json
import os
from types import SimpleNamespace

import pytest
from clocks import Clock
from token_making import CLAIMS, KEYS, SECRET, jwk_of, made, oct_of, verifier

from bridge.errors import ConfigurationError, KeysUnavailableError, UnknownKeyError
from bridge.tokens import JwksFile, JwksUrl, jwk, jwks_file


def write(path, *jwks):
    """Put a set in place whole, as its owner should."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"keys": list(jwks)}))
    new.replace(path)


def test_a_file_of_keys_is_read_again_when_it_changes(tmp_path):
    path = tmp_path / "keys.json"
    write(path, jwk_of("rsa", "a"))
    subject = verifier(JwksFile(path))
    assert subject.verify(made(kid="a")) == CLAIMS
    with pytest.raises(UnknownKeyError):
        subject.verify(made(key="rsa-other", kid="b"))

    write(path, jwk_of("rsa-other", "b"))
    assert subject.verify(made(key="rsa-other", kid="b")) == CLAIMS
    with pytest.raises(UnknownKeyError):
        subject.verify(made(kid="a"))
    with pytest.raises(UnknownKeyError, match="no `kid`"):
        subject.verify(made())


def test_a_file_of_keys_that_did_not_change_is_read_once(tmp_path, monkeypatch):
    path, clock, reads = tmp_path / "keys.json", Clock(0.0), []
    write(path, jwk_of("rsa", "a"))
    source = JwksFile(path, lifetime=10, clock=clock)
    opened = type(path).open
    monkeypatch.setattr(type(path), "open", lambda self, *more: reads.append(self) or opened(self, *more))
    for clock.now, count in [(0, 1), (5, 1), (9.9, 1), (10, 2), (19.9, 2), (20, 3)]:
        assert source.key_for("a")
        assert len(reads) == count


def test_a_file_of_keys_that_is_spoilt_makes_the_keys_unavailable(tmp_path):
    path = tmp_path / "keys.json"
    source = JwksFile(path)
    with pytest.raises(KeysUnavailableError, match="No such file"):
        source.key_for("a")
    whole = json.dumps({"keys": [jwk_of("rsa", "a")]})
    for text in ("", whole[:100], "[]", json.dumps(jwk_of("rsa", "a")), " " * 1_048_600 + whole, '{"keys":[1]}'):
        path.write_text(whole)
        assert source.key_for("a")
        path.write_text(text)
        with pytest.raises(KeysUnavailableError, match=r"keys\.json"):
            source.key_for("a")
        with pytest.raises(KeysUnavailableError):
            source.key_for("a")
    path.write_text(whole + " " * 1_048_600)  # its start alone would be a set
    with pytest.raises(KeysUnavailableError, match="more than 1,048,576 bytes"):
        source.key_for("a")
    path.unlink()
    with pytest.raises(KeysUnavailableError):
        source.key_for("a")
    path.mkdir()
    with pytest.raises(KeysUnavailableError, match="not a regular file"):
        source.key_for("a")
    with pytest.raises(KeysUnavailableError):
        JwksFile("a\0b").key_for("a")


def test_a_pipe_in_place_of_a_file_of_keys_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(KeysUnavailableError, match="not a regular file"):
        JwksFile(tmp_path / "pipe").key_for("a")


def test_secrets_in_a_file_count_only_among_themselves(tmp_path):
    path = tmp_path / "keys.json"
    subject = verifier(JwksFile(path), algorithms=("HS256",))
    write(path, oct_of(SECRET, "s"))
    assert subject.verify(made(alg="HS256", key=SECRET, kid="s")) == CLAIMS
    write(path, oct_of(SECRET, "s"), jwk_of("rsa", "r"))
    with pytest.raises(UnknownKeyError, match="among public keys"):
        subject.verify(made(alg="HS256", key=SECRET, kid="s"))


@pytest.fixture
def read(monkeypatch):
    """How often the keys were read."""
    times = []
    of = jwk.KeySet.of

    def counted(document, *, published):
        times.append(published)
        return of(document, published=published)

    monkeypatch.setattr(jwk.KeySet, "of", counted)
    return times


def test_a_file_is_read_anew_only_after_its_lifetime_or_where_the_clock_goes_back(tmp_path, read):
    path, now = tmp_path / "keys.json", [1000.0]
    path.write_bytes(KEYS)
    source = JwksFile(path, lifetime=10, clock=lambda: now[0])
    for time, times in [(1000, 1), (1000, 1), (1009.5, 1), (1010, 2), (1025, 3), (1024, 4), (1024.5, 4)]:
        now[0] = time
        source.key_for("a")
        assert len(read) == times
    assert set(read) == {False}


def test_a_file_that_looks_the_same_is_read_anew_after_five_minutes(tmp_path, read):
    path, now = tmp_path / "keys.json", [0.0]
    path.write_bytes(KEYS)
    source = JwksFile(path, clock=lambda: now[0])
    for time, times in [(0, 1), (299.5, 1), (300, 2)]:
        now[0] = time
        source.key_for("a")
        assert len(read) == times


def test_a_file_is_read_as_far_as_its_bound(tmp_path, monkeypatch):
    path = tmp_path / "keys.json"
    monkeypatch.setattr(jwks_file, "MAX_BYTES", len(KEYS))
    path.write_bytes(KEYS)
    JwksFile(path).key_for("a")
    path.write_bytes(KEYS + b" ")
    with pytest.raises(KeysUnavailableError, match=f"are unavailable: it: more than {len(KEYS)} bytes"):
        JwksFile(path).key_for("a")
    sizes = []

    class Counted(io.BytesIO):
        def read(self, size=-1):
            sizes.append(size)
            return super().read(size)

        def fileno(self):
            return 0

    monkeypatch.setattr(jwks_file.Path, "open", lambda *_, **__: Counted(KEYS))
    JwksFile(path).key_for("a")
    assert sizes == [len(KEYS) + 1, 1]


def test_a_file_that_cannot_be_read_says_which_and_why(tmp_path, monkeypatch):
    path = tmp_path / "a\nb"
    with pytest.raises(KeysUnavailableError) as refusal:
        JwksFile(path).key_for("a")
    shown = str(path).replace("\n", "\\n")
    assert (
        str(refusal.value)
        == f"the keys in the file `{shown}` are unavailable: No such file or directory; put a readable JWK set there"
    )

    def stat(_):
        raise OSError("no strerror")

    monkeypatch.setattr(jwks_file.Path, "stat", stat)
    with pytest.raises(
        KeysUnavailableError, match=r"are unavailable: it cannot be read; put a readable JWK set there\Z"
    ):
        JwksFile(path).key_for("a")


@pytest.mark.parametrize("name", ["st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns"])
def test_each_of_these_tells_a_file_from_its_other_state(name):
    status = dict.fromkeys(("st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns"), 1)
    one, other = (SimpleNamespace(**status | {name: value}) for value in (1, 2))
    assert jwks_file._identity(one) != jwks_file._identity(other)


@pytest.mark.parametrize("name", ["lifetime", "interval", "deadline"])
def test_a_setting_in_seconds_that_is_refused_is_named(name):
    with pytest.raises(ConfigurationError, match=rf"\A{name}: "):
        JwksUrl("https://example.com/keys", **{name: -1})
    if name == "lifetime":
        with pytest.raises(ConfigurationError, match=r"\Alifetime: "):
            JwksFile("keys.json", lifetime=0)
