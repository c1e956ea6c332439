"""How old a key set is: as old as the question for it, for what it was answered with is no younger."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge import JwksFile, JwksUrl, KeysUnavailableError
from bridge.errors import UnknownKeyError
from bridge.tokens.jwks_url import Fetcher, FetchError

SET = json.dumps(
    {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE"}]}
).encode()
TAKES = 4


class AgedKeyServer:
    """A key server that takes its time, by a clock of its own."""

    def __init__(self, monkeypatch):
        self.now = 1_000.0
        self.fetched_at = []
        self.body = SET
        monkeypatch.setattr(Fetcher, "get", self._get)
        self.source = JwksUrl("https://keys.example/set", lifetime=300, interval=30, clock=lambda: self.now)

    def _get(self):
        self.fetched_at.append(self.now)
        self.now += TAKES
        if self.body is None:
            raise FetchError("it is down")
        return self.body

    def at(self, now):
        self.now = now
        return self.source


@pytest.fixture
def server(monkeypatch):
    made = AgedKeyServer(monkeypatch)
    made.source.key_for("k")
    return made


def test_the_age_of_a_set_counts_from_the_start_of_its_fetch(server):
    assert server.fetched_at == [1_000]
    assert server.at(1_299.9).known_key("k") is not None
    assert server.at(1_300).known_key("k") is None
    server.source.key_for("k")
    assert server.fetched_at == [1_000, 1_300]


def test_an_expired_set_is_not_used_where_none_can_be_fetched(server):
    server.body = None
    with pytest.raises(KeysUnavailableError, match="it is down"):
        server.at(1_300).key_for("k")


def test_the_time_without_a_fetch_counts_from_the_end_of_one(server):
    with pytest.raises(UnknownKeyError):
        server.at(1_033.9).key_for("other")
    assert server.fetched_at == [1_000]
    with pytest.raises(UnknownKeyError):
        server.at(1_034).key_for("other")
    assert server.fetched_at == [1_000, 1_034]


def test_a_fetch_that_fails_makes_a_set_no_younger(server):
    server.body = None
    for _ in range(2):
        with pytest.raises(UnknownKeyError):
            server.at(1_290).key_for("other")
    assert server.fetched_at == [1_000, 1_290]
    with pytest.raises(UnknownKeyError):
        server.at(1_299.9).key_for("other")
    with pytest.raises(KeysUnavailableError):
        server.at(1_300).key_for("k")
    assert server.fetched_at == [1_000, 1_290]


def test_the_age_of_a_file_counts_from_the_question_to_the_question_however_slow_the_disk(tmp_path, monkeypatch):
    path, now, read_at = tmp_path / "keys.json", [1_000.0], []
    path.write_bytes(SET)
    look, read = Path.stat, Path.open

    def slow_look(self, **settings):
        now[0] += 0 if read_at else TAKES  # the first look alone: what is always as slow cannot be seen
        return look(self, **settings)

    def slow_read(self, *settings):
        read_at.append(question_time)
        now[0] += TAKES
        return read(self, *settings)

    monkeypatch.setattr(Path, "stat", slow_look)
    monkeypatch.setattr(Path, "open", slow_read)
    source = JwksFile(path, lifetime=20, clock=lambda: now[0])
    for question_time in (1_000, 1_019.9, 1_020, 1_039.9, 1_040):
        now[0] = question_time
        source.key_for("k")
    assert read_at == [1_000, 1_020, 1_040]
