"""`jwt-bridge demo` as a process."""

from __future__ import annotations

import re

import pytest
from cli_process import between, run, run_here
from fault_server import FaultServer

from bridge.opa import OpaClient

NO_OPA = {"PATH": "/nowhere", "JWT_BRIDGE_OPA": None}
MATRIX = """
phone-1 + matched - no grant - missing - no grant - no grant
phone-2 - different - no grant - missing - no grant - no grant
phone-3 - different - no grant - missing - no grant - no grant
tablet-1 - missing - no grant + matched - no grant - no grant
tablet-2 - missing - no grant - missing - no grant - no grant
kiosk-1 - missing - no grant - missing - no grant - no grant
12345 - no grant + matched - missing + matched + matched
12346 - no grant - different - missing + matched - different
12347 - no grant - different - missing + matched - different
12348 - no grant - missing + matched + matched - different
12349 - no grant - missing - different + matched - different
012345 - no grant - missing - missing + matched - different
"""
ROW = re.compile(r" (\S+) +((?:[-+] [a-z ]+){5})")


def matrix(text: str) -> str:
    """The rows of the table, without what is between the columns."""
    rows = filter(None, map(ROW.fullmatch, text.translate({0x2713: "+", 0x2717: "-"}).splitlines()))
    return "\n" + "".join(f"{row[1]} {' '.join(row[2].split())}\n" for row in rows)


def test_without_an_opa() -> None:
    done = run("demo", **NO_OPA)
    assert matrix(done.text) == MATRIX
    assert "\u2713" in done.text
    assert max(map(len, done.text.splitlines())) <= 80
    assert "\x1b" not in done.text
    assert "No OPA was asked as well: there is no `opa` on PATH; install opa 1.20.1 or newer" in done.text
    assert done.stderr == ""


def test_on_a_terminal_with_ascii_only() -> None:
    done = run("demo", PYTHONUTF8="0", PYTHONIOENCODING="ascii", **NO_OPA)
    assert matrix(done.stdout.decode("ascii")) == MATRIX
    assert "\\u" not in done.text


def test_with_an_opa_on_this_machine() -> None:
    text = run("demo").text
    assert matrix(text) == MATRIX
    assert re.search(r"An OPA, started from `.*`, was asked as well,\n.* agrees on all 60 decisions\.\n", text)


def test_with_a_server_that_has_nothing_of_the_demo_afterwards(start_opa) -> None:
    server = start_opa()
    with OpaClient(server.url) as client:
        text = run("demo", OPA_URL=server.url).text
        assert f"The OPA at {server.url} was asked as well,\n" in text
        assert "agrees on all 60 decisions" in text
        assert (client.list_policies(), client.get_data(())) == ((), {})
        # It is asked indeed: one that decides otherwise is told, and cleaned up as well.
        other = lambda _, body: ("200 OK", body.replace(b'"type_not_granted"', b'"unknown_resource"'))  # noqa: E731
        with between(server.url, other) as liar:
            done = run("demo", OPA_URL=liar.url, status=3)
        assert f"jwt-bridge: The OPA at {liar.url} agrees on 36 of 60 decisions only" in done.stderr
        assert (client.list_policies(), client.get_data(())) == ((), {})


@pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1:1", None])
def test_with_a_server_that_cannot_be_asked(url) -> None:
    with FaultServer(lambda exchange: exchange.reply(b"{}", "401 Unauthorized")) as server:
        done = run_here("demo", OPA_URL=url or server.url)
    assert matrix(done.text) == MATRIX
    assert "No OPA was asked as well: " in done.text
