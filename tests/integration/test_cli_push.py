"""`jwt-bridge push` as a process."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from cli_process import COMMAND, PATIENCE, ended, environment, run, run_here, started
from fault_server import FaultServer

from bridge.engines import OpaEngine
from bridge.opa import OpaClient
from bridge.store import OpaStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.opa import ManagedOpa

ROOT = "jwt_policy_data"
REPORT = re.compile(
    r"devices: (?P<stored>[\d,]+) stored now, (?P<before>[\d,]+) before, [\d,]+ added, [\d,]+ changed, "
    r"(?P<removed>[\d,]+) removed, (?P<refused>[\d,]+) refused; revision \d+\n"
)


@pytest.fixture(scope="module")
def opa(start_opa: Callable[..., ManagedOpa]) -> ManagedOpa:
    """An OPA with the rules."""
    opa = start_opa()
    with OpaClient(opa.url, deadline=PATIENCE) as client:
        OpaEngine(client).install()
    return opa


@pytest.fixture
def client(opa: ManagedOpa) -> Iterator[OpaClient]:
    """An OPA without any data of ours."""
    with OpaClient(opa.url, deadline=PATIENCE) as client:
        client.delete_data((ROOT,))
        yield client


def lines(*ids: str) -> bytes:
    return b"".join(json.dumps({"id": id_}).encode() + b"\n" for id_ in ids)


def stored(client: OpaClient, type_: str = "devices") -> list[str] | None:
    store = OpaStore(client, (ROOT,), (type_,))
    return None if store.look(type_) is None else sorted(id_ for shard in store.resources(type_) for id_ in shard)


def pushed(client: OpaClient, data: bytes, *options: str, status: int = 0) -> tuple[list[int], str]:
    """The numbers of the report and the complaints."""
    done = run_here("push", "--type", "devices", "-", "--opa-url", client.url, *options, stdin=data, status=status)
    report = REPORT.fullmatch(done.text)
    assert report or done.text == ""
    return [int(each.replace(",", "")) for each in report.groups()] if report else [], done.stderr


def test_all_of_a_type_is_replaced_and_other_types_are_left_alone(client, tmp_path) -> None:
    file = tmp_path / "sessions.jsonl"
    file.write_bytes(b'{"id":"s","custom_data":{"n":9007199254740993}}\r\n\n')
    run_here("push", "--type", "sessions", file, OPA_URL=client.url)
    assert pushed(client, lines("a", "b", "c")) == ([3, 0, 0, 0], "")
    assert pushed(client, lines("b", "c", "d", "\u00e4/ \u2028")) == ([4, 3, 1, 0], "")
    assert stored(client) == ["b", "c", "d", "\u00e4/ \u2028"]
    (shard,) = filter(None, OpaStore(client, (ROOT,), ("sessions",)).resources("sessions"))
    assert shard["s"]["custom_data"] == {"n": 9007199254740993}


def test_what_is_refused_is_told_with_its_line_and_may_be_left_out(client) -> None:
    data = b'{"id":"a"}\n\n{"id":"b","id":"b"}\n{"id":""}\n{"id":"c"}\n{"id":"d"}\n{"id":"c"}\n[]\n{"id":"\xff"}\n'
    numbers, complaints = pushed(client, data, "--skip-invalid", "--force", status=1)
    assert numbers == [2, 0, 0, 6]
    assert stored(client) == ["a", "d"]
    errors = complaints.splitlines()
    assert [each.split(":")[1].strip() for each in errors] == [
        "line 3",
        "line 4",
        "line 5",
        "line 7",
        "line 8",
        "line 9",
    ]
    assert (
        errors[0] == "jwt-bridge: line 3: line 1, column 16: duplicate member `id` (R12.2)"
        or "duplicate member `id`" in errors[0]
    )
    assert 'the id "c" comes more than once: also in line 7' in errors[2]
    assert 'the id "c" comes more than once: also in line 5' in errors[3]
    assert all(each.startswith("jwt-bridge: line ") for each in errors)


def test_twenty_refusals_are_told_and_all_with_verbose(client) -> None:
    data = lines("a") + b"{}\n" * 1_030
    left_out = ["--skip-invalid", "--force"]
    numbers, complaints = pushed(client, data, *left_out, status=1)
    assert numbers == [1, 0, 0, 1_030]
    errors = complaints.splitlines()
    assert len(errors) == 21
    assert errors[-1] == "jwt-bridge: and 1,010 more; --verbose shows all of them"
    assert len(pushed(client, data, *left_out, "--verbose", status=1)[1].splitlines()) == 1_030


def test_a_file_that_was_cut_off(client, tmp_path) -> None:
    file = tmp_path / "devices.jsonl"
    file.write_bytes(lines("a", "b", "c")[:-5])
    done = run("push", "--type", "devices", file, "--opa-url", client.url, status=2)
    assert "line 3: " in done.stderr
    assert "the line has no end: was the source cut off?" in done.stderr
    assert stored(client) is None
    run("push", "--type", "devices", file, "--skip-invalid", OPA_URL=client.url, status=1)
    assert stored(client) == ["a", "b"]


@pytest.mark.parametrize(
    ("data", "options", "expected"),
    [
        (lines("a", "b", "c") + b"{}\n", [], "nothing was pushed: 1 of 4 resources in standard input are refused"),
        (lines("a", "b", "c") + b"{}\n", ["--force"], "push the others with `skip_invalid` (--skip-invalid)"),
        (
            lines("a", "b") + b"{}\n" * 3,
            ["--skip-invalid"],
            "these are more than half: correct them, or push the others anyway with `force` (--force)",
        ),
        (b"", [], "standard input is empty, and an empty push would remove all stored resources"),
        (b"\n \n", [], "standard input is empty, and an empty push would remove all stored resources"),
        (b" [ \n]\n", [], "there is no resource to push"),
        (b"{}\n", ["--skip-invalid", "--force"], "all 1 resources in standard input are refused"),
        (lines("a"), [], "2 of the 3 stored `devices` would be removed, more than half"),
    ],
)
def test_nothing_is_pushed_unless_forced(client, data, options, expected) -> None:
    pushed(client, lines("a", "b", "c"))
    numbers, complaints = pushed(client, data, *options, status=2)
    assert numbers == []
    assert expected in complaints
    assert stored(client) == ["a", "b", "c"]


ARRAY = json.dumps([{"id": id_} for id_ in "abcde"], indent=2).encode()


@pytest.mark.parametrize("feed", [b"\n", b"\r\n"])
def test_an_array_is_pushed_however_it_is_laid_out(client, tmp_path, feed) -> None:
    file = tmp_path / "devices.json"
    for text in (
        ARRAY,
        b"[" + b",\n".join(lines("a", "b", "c", "d", "e").splitlines()) + b"]",
        ARRAY.replace(b"\n", b""),
    ):
        file.write_bytes(text.replace(b"\n", feed))
        run_here("push", "--type", "devices", file, OPA_URL=client.url)
        assert stored(client) == list("abcde")
        assert pushed(client, text)[0][:2] == [5, 5]


@pytest.mark.parametrize("options", [[], ["--skip-invalid", "--force"]])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (ARRAY[:-2], "standard input: line 16, column 4: expected `,` or `]` behind item 5, found the end of the text"),
        (ARRAY + b"\n[]", "standard input: line 18, column 1: text after the end of the array"),
        (
            ARRAY.replace(b"},", b"}", 1),
            "standard input: line 5, column 3: expected `,` or `]` behind item 1, found `{`",
        ),
        (json.dumps({"id": "x", "custom_data": {"id": "y"}}, indent=1).encode(), "line 1, column 1: no JSON by itself"),
        (b"\xef\xbb\xbf" + lines("x"), "standard input: line 1, column 1: a byte order mark"),
        (lines("x").decode().encode("utf-16"), "UTF-16 text"),
        (gzip.compress(lines("x"), mtime=0), "compressed data (gzip): decompress it first"),
        (b"id,name\nx,y\n", "CSV, or another table"),
    ],
    ids=["cut off", "text behind", "no comma", "object", "bom", "utf-16", "gzip", "csv"],
)
def test_what_is_neither_form_changes_nothing_whatever_is_asked(client, data, options, expected) -> None:
    pushed(client, lines("a", "b", "c"))
    for command in ("push", "sync"):
        done = run_here(command, "--type", "devices", "-", *options, OPA_URL=client.url, stdin=data, status=2)
        assert expected in done.stderr
        assert done.text == ""
        assert stored(client) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "data",
    [
        lines("a", "c") + b'{"id":"b","custom_data":5}\n',
        lines("a", "c") + b'\xef\xbb\xbf{"id":"b"}\n',
        lines("a", "c") + b'{"id":"b","custom',
        lines("a", "c") + b'{"id":"b"}\n{"id":"b"}\n',
        b'[{"id":"a"},{"id":"c"},{"id":"b","n":1e999}]',
    ],
    ids=["R12.8", "bom", "cut off", "twins", "item"],
)
def test_a_bad_resource_does_not_silently_remove_its_earlier_version(client, data) -> None:
    pushed(client, lines("a", "b", "c"))
    for options in ([], ["--force"]):
        numbers, complaints = pushed(client, data, *options, status=2)
        assert numbers == []
        assert "push the others with `skip_invalid` (--skip-invalid)" in complaints
        assert stored(client) == ["a", "b", "c"]
    numbers, complaints = pushed(client, data, "--skip-invalid", status=1)
    assert numbers[:3] == [2, 3, 1]
    assert stored(client) == ["a", "c"]
    assert 'removed, although its new version may be among the refused: "b"\n' in complaints


SECRETS = b"""\
{"id":"a","notification_token":"s","device":{"platform":"ios","app_id":"x"}}
{"id":"b","control_token":"s","custom_data":{"n":1}}
"""


def test_members_are_left_out_and_sync_leaves_out_alike(client) -> None:
    omit = ["--omit", "notification_token", "--omit", "control_token", "--omit", "/device/app_id"]
    pushed(client, SECRETS, *omit)
    store = OpaStore(client, (ROOT,), ("devices",))
    resources = {id_: resource for shard in store.resources("devices") for id_, resource in shard.items()}
    assert resources == {"a": {"id": "a", "device": {"platform": "ios"}}, "b": {"id": "b", "custom_data": {"n": 1}}}
    assert b'"s"' not in json.dumps(client.get_data(())).encode()
    arguments = ["sync", "--type", "devices", "-"]
    assert "nothing differed" in run_here(*arguments, *omit, OPA_URL=client.url, stdin=SECRETS).text
    assert "2 changed" in run_here(*arguments, OPA_URL=client.url, stdin=SECRETS).text


@pytest.mark.parametrize("omit", ["id", "/id", "custom_data", "/custom_data/n"])
def test_what_policies_look_at_is_not_left_out(client, omit) -> None:
    for command in ("push", "sync"):
        done = run_here(command, "--type", "devices", "-", "--omit", omit, OPA_URL=client.url, stdin=SECRETS, status=2)
        assert f"omit: `{omit}` cannot be left out" in done.stderr
    assert stored(client) is None


def test_force(client) -> None:
    pushed(client, lines("a", "b", "c"))
    assert pushed(client, lines("x"), "--force") == ([1, 3, 3, 0], "")
    assert pushed(client, b"", "--force") == ([0, 1, 1, 0], "")
    assert stored(client) == []


def test_an_opa_without_the_rules(client) -> None:
    numbers, complaints = pushed(client, lines("a"), "--package-root", "push_test.rules")
    assert numbers == [1, 0, 0, 0]
    assert complaints == (
        "jwt-bridge: the OPA has no rules at `data.push_test.rules` to decide on them: "
        "`jwt-bridge install` uploads them\n"
    )


def test_other_types_and_another_root(client) -> None:
    options = ["--type", "robots", "--resource-type", "robots", "--data-root", "push_test.deep"]
    run_here("push", "-", *options, OPA_URL=client.url, stdin=lines("r2d2"))
    (shard,) = filter(None, OpaStore(client, ("push_test", "deep"), ("robots",)).resources("robots"))
    assert shard == {"r2d2": {"id": "r2d2"}}
    client.delete_data(("push_test",))


@pytest.mark.parametrize("source", ["file", "stdin"])
def test_progress_for_a_person_who_watches(client, tmp_path, source) -> None:
    file = tmp_path / "devices.jsonl"
    file.write_bytes(lines(*map(str, range(2_000))))
    master, slave = pty.openpty()
    with file.open("rb") as data:
        process = subprocess.Popen(
            [*COMMAND, "push", "--type", "devices", "-" if source == "stdin" else str(file)],
            stdin=data,
            stdout=subprocess.PIPE,
            stderr=slave,
            env=environment(OPA_URL=client.url, TERM="xterm", COLUMNS="120"),
        )
    os.close(slave)
    shown = b""
    while piece := _read(master):
        shown += piece
    os.close(master)
    stdout, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert REPORT.fullmatch(stdout.decode())["stored"] == "2,000"
    assert (b"2,000 lines" if source == "stdin" else b"kB") in shown
    assert b"/s" in shown


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65_536)
    except OSError:  # how Linux tells that the other side is closed
        return b""


def test_ctrl_c_while_the_source_is_read_pushes_nothing(client) -> None:
    pushed(client, lines("a"))
    with started("push", "--type", "devices", "-", OPA_URL=client.url) as process:
        # More than a pipe holds, so it has begun to read when this returns.
        process.stdin.write(lines(*map(str, range(10_000))))
        process.send_signal(2)
        assert ended(process, 130) == ""
    assert stored(client) == ["a"]


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [
        (["--type", "device", "-"], 2, "`device` is not one of the resource types: devices, sessions"),
        (["--type", "devices", "/"], 2, "`/`: is a directory"),
        (["--type", "devices", "nothing.jsonl"], 2, "`nothing.jsonl`: no such file or directory"),
        (["--type", "devices"], 2, "'file'"),
        (["-"], 2, "'--type'"),
        (["--type", "devices", "-", "--data-root", "jwt_policy.inside"], 2, "must not be inside each other"),
        (["--type", "devices", "-", "--opa-url", "http://127.0.0.1:1"], 3, "connection refused"),
    ],
)
def test_misuse(client, arguments, status, expected) -> None:
    done = run_here("push", *arguments, status=status, stdin=lines("a"), OPA_URL=client.url)
    assert expected in done.stderr
    assert done.stdout == b""
    assert stored(client) is None


def test_a_source_with_a_line_longer_than_any_resource(client, tmp_path) -> None:
    huge = tmp_path / "huge"
    huge.write_bytes(b'{"id":"a"}\n' + b"x" * 70_000_000)
    done = run_here("push", "--type", "devices", huge, OPA_URL=client.url, status=2)
    assert f"`{huge}`: line 2 is longer than 67,108,864 bytes: is it a file of JSON Lines, or of one" in done.stderr


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ((b'{"code":"unauthorized","message":"request rejected"}', "401 Unauthorized"), "opa answered 401"),
        ((b'{"provenance":{"version":"1.19.0"}}', "200 OK"), "1.19.0"),
    ],
)
def test_an_opa_that_will_not_do(reply, expected) -> None:
    with FaultServer(lambda exchange: exchange.reply(*reply)) as server:
        done = run_here("push", "--type", "devices", "-", OPA_URL=server.url, stdin=lines("a"), status=3)
        assert all(line.startswith("POST ") for line in server.lines)
    assert expected in done.stderr
