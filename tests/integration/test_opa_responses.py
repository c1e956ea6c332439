"""How the OPA client reads responses: results, errors, shapes, versions."""

from __future__ import annotations

import re

import pytest
from fault_server import ANSWER, INPUT, FaultServer, replying, serving

from bridge.errors import (
    InvalidResponseError,
    OpaStatusError,
    UnsupportedOpaVersionError,
)
from bridge.strict_json import ABSENT


# --- answers
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"nul",
        b'{"result":tru',
        b'{"result":NaN}',
        b'{"result":true}{"result":false}',
        b'{"result":true,"result":false}',
        b'\xef\xbb\xbf{"result":true}',
        b'{"result":"\xff"}',
        b'{"result":"\\ud800"}',
        b"[true]",
        b"true",
        b'{"result":' + b"[" * 100 + b"]" * 100 + b"}",
        b"[" * 100_000,
    ],
)
def test_no_json_object(body) -> None:
    with (
        serving(replying(body)) as (server, client),
        pytest.raises(InvalidResponseError, match=r"^`POST /v1/data/x`: the answer"),
    ):
        client.query(("x",), INPUT)
    assert len(server.exchanges) == 1


def test_depth_of_what_was_accepted_is_accepted() -> None:
    deep = b"[" * 70 + b"]" * 70
    with serving(replying(b'{"result":' + deep + b"}")) as (_, client):
        assert client.query(("x",), INPUT).result is not ABSENT


@pytest.mark.parametrize("body", [b"{}", b'{"decision_id":"d"}'])
def test_200_without_result_is_absent(body) -> None:
    with serving(replying(body)) as (_, client):
        assert client.query(("x",), INPUT).result is ABSENT


@pytest.mark.parametrize("result", [b"null", b"false", b'"true"', b"1", b"1.0", b"[true]"])
def test_a_result_is_given_as_it_is(result) -> None:
    with serving(replying(b'{"result":' + result + b"}")) as (_, client):
        received = client.query(("x",), INPUT).result
    assert received is not True
    assert received is not ABSENT


@pytest.mark.parametrize(
    ("status", "body", "code", "message"),
    [
        ("401 Unauthorized", b'{"code":"unauthorized","message":"who are you?"}', "unauthorized", "who are you?"),
        ("403 Forbidden", b"<html>no</html>", "", ""),
        ("404 Not Found", b"404 page not found", "", ""),
        ("500 Internal Server Error", b'{"code":"internal_error","message":"boom"}', "internal_error", "boom"),
        ("500 Internal Server Error", b"", "", ""),
        ("503 Service Unavailable", b'{"code":"starting"}', "starting", ""),
    ],
)
def test_error_status(status, body, code, message) -> None:
    with serving(replying(body, status)) as (server, client), pytest.raises(OpaStatusError) as caught:
        client.query(("x",), INPUT)
    error = caught.value
    assert (error.status, error.opa_code, error.opa_message) == (int(status[:3]), code, message)
    assert str(error).startswith(f"`POST /v1/data/x`: opa answered {status[:3]}")
    assert code in str(error)
    assert message in str(error)
    assert len(server.exchanges) == (3 if status.startswith("503") else 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get_policy("x"),
        lambda client: client.delete_policy("x"),
        lambda client: client.delete_data(("x",)),
    ],
)
def test_only_opa_itself_can_say_that_something_is_not_there(call) -> None:
    """A gateway that knows no such path answers 404 as well."""
    with serving(replying(b"404 page not found", "404 Not Found")) as (_, client), pytest.raises(OpaStatusError):
        call(client)
    body = b'{"code":"resource_not_found","message":"storage_not_found_error"}'
    with serving(replying(body, "404 Not Found")) as (_, client):
        assert call(client) in (False, ABSENT)


def test_errors_of_opa_are_shortened_and_fit_for_a_terminal() -> None:
    errors = b",".join(
        b'{"message":"bad\\u001b[31m\\nthing %d","location":{"file":"f.rego","row":%d,"col":1}}' % (i, i)
        for i in range(9)
    )
    body = b'{"code":"invalid_parameter","message":"' + b"m" * 10_000 + b'","errors":[' + errors + b"]}"
    with serving(replying(body, "400 Bad Request")) as (_, client), pytest.raises(OpaStatusError) as caught:
        client.put_policy("a.rego", "package a")
    text = str(caught.value)
    assert text.isprintable()
    assert r"f.rego:2:1: bad\u001b[31m\nthing 2; and 6 more" in text
    assert "thing 3" not in text
    assert len(text) < 1000


@pytest.mark.parametrize(
    "status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"]
)
def test_redirects_are_not_followed(status) -> None:
    with FaultServer(replying(ANSWER)) as other:
        location = f"Location: {other.url}/v1/data/x"
        with (
            serving(replying(ANSWER, status, location)) as (_, client),
            pytest.raises(InvalidResponseError, match=f"status {status[:3]}"),
        ):
            client.query(("x",), INPUT)
        assert other.connections == 0


@pytest.mark.parametrize(
    "status", ["201 Created", "202 Accepted", "204 No Content", "206 Partial Content", "304 Not Modified"]
)
def test_success_that_opa_does_not_promise(status) -> None:
    body = b"" if status[:3] in ("204", "304") else ANSWER
    with (
        serving(replying(body, status)) as (_, client),
        pytest.raises(InvalidResponseError, match=f"status {status[:3]}"),
    ):
        client.query(("x",), INPUT)


@pytest.mark.parametrize(
    ("call", "body"),
    [
        (lambda client: client.list_policies(), b'{"result":{}}'),
        (lambda client: client.list_policies(), b"{}"),
        (lambda client: client.list_policies(), b'{"result":[{"id":1,"raw":"x"}]}'),
        (lambda client: client.get_policy("a"), b'{"result":{"id":"a"}}'),
        (lambda client: client.get_policy("a"), b"{}"),
        (lambda client: client.compile("1==1"), b"{}"),
        (lambda client: client.compile("1==1"), b'{"result":[]}'),
        (lambda client: client.compile("1==1"), b'{"result":{"queries":{}}}'),
        (lambda client: client.compile("1==1"), b'{"result":{"support":null}}'),
        (lambda client: client.health(), b"OK"),
        (lambda client: client.version(), b"{}"),
        (lambda client: client.version(), b'{"provenance":[]}'),
        (lambda client: client.version(), b'{"provenance":{"version":1}}'),
    ],
)
def test_answers_of_another_shape(call, body) -> None:
    with serving(replying(body)) as (_, client), pytest.raises(InvalidResponseError):
        call(client)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"result":{"b":"\xc3\xa9","a":1.50}}', '{"b":"\xe9","a":1.50}'),
        (b'{"result":"}"}\n', '"}"'),
        (b'{"decision_id":"4ca636c1","result":{"result":[{}]}}', '{"result":[{}]}'),
        (b'{"result":{"b":1,"a":2},"warning":{"code":"x"}}', '{"a":2,"b":1}'),
        (b'{ "warning":{}, "result":{"b":1,"a":2}}', '{"a":2,"b":1}'),
        (b"{}", ABSENT),
        (b'{"warning":{}}', ABSENT),
    ],
)
def test_the_text_of_a_document(body, text) -> None:
    with serving(replying(body)) as (_, client):
        assert client.get_data_text(("x",)) == text


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b'{"result":', b'{"result":}', b'{"result":1}}', b'{"result":1', b'{"result":"\xff"}'),
        b'{"result":' + b"[" * 100_000,
    ],
)
def test_a_document_whose_text_cannot_be_told(body) -> None:
    with serving(replying(body)) as (_, client), pytest.raises(InvalidResponseError):
        client.get_data_text(("x",))


# --- old versions
def saying(version: str) -> bytes:
    return b'{"provenance":{"version":"%s"},"result":true}' % version.encode()


@pytest.mark.parametrize("version", ["0.70.0", "1.19.1", "1.19.99", "1.20.0", "1.20.1-rc1", "1.20.1-dev+abc"])
def test_too_old(version) -> None:
    with serving(replying(saying(version))) as (_, client):
        with pytest.raises(
            UnsupportedOpaVersionError, match=rf"opa {re.escape(version)} is too old: .*exactly is 1\.20\.1"
        ):
            client.query(("x",), INPUT, provenance=True)
        with pytest.raises(UnsupportedOpaVersionError):
            client.require_version()
        assert client.version() == version


@pytest.mark.parametrize(
    "version", ["1.20.1", "1.20.2", "1.20.2-rc1", "1.21.0-dev", "2.0.0", "1.100.0", "1.20.1+build"]
)
def test_new_enough(version) -> None:
    with serving(replying(saying(version))) as (_, client):
        assert client.query(("x",), INPUT, provenance=True).version == version
        client.require_version()


@pytest.mark.parametrize(
    "version", ["", "1.20", "1.20.x", "latest", "1.20.2 ", "1.20.2-", "1" * 5000 + ".0.0", "\u0661.20.2"]
)
def test_no_version(version) -> None:
    with (
        serving(replying(saying(version))) as (_, client),
        pytest.raises(InvalidResponseError, match="is no version of opa"),
    ):
        client.query(("x",), INPUT, provenance=True)


def test_an_answer_without_provenance_is_from_nobody_knows_whom() -> None:
    with serving(replying(ANSWER)) as (_, client), pytest.raises(InvalidResponseError, match="opa's version"):
        client.query(("x",), INPUT, provenance=True)


def test_an_opa_that_is_replaced_by_an_older_one_is_noticed_at_once() -> None:
    with serving(lambda exchange: exchange.reply(saying(["1.20.2", "1.19.1", "1.20.2"][exchange.number]))) as (
        _,
        client,
    ):
        client.query(("x",), INPUT, provenance=True)
        with pytest.raises(UnsupportedOpaVersionError):
            client.query(("x",), INPUT, provenance=True)
        client.query(("x",), INPUT, provenance=True)
