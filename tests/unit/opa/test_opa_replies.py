"""What may be believed of an answer: its status, its members, and what an error says of it."""

from __future__ import annotations

import json
import pickle

import pytest

from bridge.errors import (
    EngineUnreachableError,
    InvalidResponseError,
    OpaStatusError,
    UnsupportedOpaVersionError,
    UsageError,
)
from bridge.escapes import on_one_line, printable
from bridge.http import HttpSettings, Reply
from bridge.opa.opa_errors import is_too_large, status_error
from bridge.opa.queries import RulesQuery, checked_body, provenance_of, query_reply, query_target, require_ok
from bridge.opa.replies import CompileReply, Health, MemoryUsage, QueryReply, StoredPolicy, json_object
from bridge.strict_json import ABSENT

TOKEN = "s3cret"
SETTINGS = HttpSettings.checked("http://opa.example/team", token=TOKEN)
BARE = HttpSettings.checked("http://opa.example/team")
SETTINGS.token.current()


def answer(body, status=200, nonce=None):
    return Reply(status, json.dumps(body).encode(), nonce)


# --- the status


@pytest.mark.parametrize("status", [100, 199, 201, 204, 206, 301, 304, 399])
def test_a_status_below_400_that_opa_does_not_promise(status):
    with pytest.raises(InvalidResponseError) as caught:
        require_ok(answer({"result": True}, status), "GET /x", SETTINGS)
    assert str(caught.value) == f"`GET /x`: status {status}, which opa does not answer here: is this the url of opa?"


@pytest.mark.parametrize("status", [400, 402, 499, 500, 999])
def test_an_error_status(status):
    with pytest.raises(OpaStatusError) as caught:
        require_ok(answer({"code": "c", "message": "m"}, status), "GET /x", SETTINGS)
    error = caught.value
    assert (error.status, error.opa_code, error.opa_message) == (status, "c", "m")
    assert str(error) == f"`GET /x`: opa answered {status} `c`: m"


def test_a_200_is_read():
    reply = answer({})
    assert require_ok(reply, "GET /x", SETTINGS) is reply


# --- what an error says


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, ""),
        ([], ""),
        ("x", ""),
        ({"code": 7, "message": ["m"], "errors": "x"}, ""),
        ({"code": "c"}, " `c`"),
        ({"message": "m"}, ": m"),
        ({"error": "e"}, ": e"),
        ({"message": "m", "error": "e"}, ": m"),
        ({"errors": []}, ""),
        ({"errors": {"0": {"message": "m"}}}, ""),
        ({"errors": [{"message": "m"}]}, "; m"),
        ({"errors": [{}]}, "; "),
        ({"errors": [1, {"message": "m"}]}, "; m"),
        ({"errors": [{"message": "m", "location": {"file": "f", "row": 1, "col": 2}}]}, "; f:1:2: m"),
        ({"errors": [{"message": "m", "location": {"file": "", "row": 1, "col": 2}}]}, "; 1:2: m"),
        ({"errors": [{"message": "m", "location": {"file": "f", "row": None, "col": [2]}}]}, "; f: m"),
        ({"errors": [{"message": "m", "location": {"other": "f"}}]}, "; m"),
        ({"errors": [{"message": "m", "location": ["f", 1, 2]}]}, "; m"),
        ({"errors": [{"message": "m"}] * 3}, "; m; m; m"),
        ({"errors": [{"message": "m"}] * 4}, "; m; m; m; and 1 more"),
        ({"errors": [{"message": "m"}] * 9}, "; m; m; m; and 6 more"),
        ({"code": "c", "message": "a\nb", "errors": [{"message": "m\x1b"}]}, r" `c`: a\nb; m\u001b"),
        (
            {"code": TOKEN, "message": f"{TOKEN}{TOKEN}", "errors": [{"message": TOKEN}]},
            " `[token]`: [token][token]; [token]",
        ),
        ({"message": "m" * 300}, ": " + "m" * 300),
        ({"message": "m" * 301}, ": " + "m" * 300 + "..."),
        ({"message": "m" * 299 + TOKEN}, ": " + "m" * 299 + "[..."),
        ({"errors": [{"message": "m" * 301, "location": {"file": "f"}}]}, "; f: " + "m" * 297 + "..."),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_an_error_says(body, text):
    assert str(status_error(answer(body, 500), "GET /x", SETTINGS)) == "`GET /x`: opa answered 500" + text


def test_an_error_without_a_secret_and_without_json():
    assert str(status_error(answer({"code": "c", "message": "[token]"}, 400), "GET /x", BARE)) == (
        "`GET /x`: opa answered 400 `c`: [token]"
    )
    error = status_error(Reply(501, b"<html>no</html>"), "GET /x", BARE)
    assert (str(error), error.opa_code, error.opa_message) == ("`GET /x`: opa answered 501", "", "")


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_that_answers_is_told_from_opa(status):
    error = status_error(Reply(status, b"<html>no</html>"), "GET /x", BARE)
    assert type(error) is EngineUnreachableError
    assert str(error) == (
        f"`GET /x` at http://opa.example:80/team: a gateway answered {status} in the place of opa: is opa running"
        " behind it?"
    )
    assert type(status_error(answer({"code": "c"}, status), "GET /x", BARE)) is OpaStatusError


@pytest.mark.parametrize(
    ("status", "body", "settings", "remedy"),
    [
        (401, b"", BARE, ": give the token that opa asks for by `token` (`--opa-token-file`)"),
        (401, b"", SETTINGS, ": is the token right? It is given by `token` (`--opa-token-file`)"),
        (
            400,
            b"Client sent an HTTP request to an HTTPS server.\n",
            BARE,
            ": http://opa.example:80/team speaks TLS: use a url that starts with `https://`",
        ),
        (400, b"", BARE, ""),
        (404, b"no", BARE, ": no opa answers at http://opa.example:80/team: check the path prefix in its url"),
        (404, b'{"code":"c"}', BARE, " `c`"),
    ],
)
def test_an_error_says_what_to_do_next(status, body, settings, remedy):
    assert str(status_error(Reply(status, body), "GET /x", settings)) == f"`GET /x`: opa answered {status}{remedy}"


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [(413, "", True), (400, "request body too large", True), (400, "x", False), (500, "request body too large", False)],
)
def test_which_answers_say_that_a_body_is_too_large(status, message, expected):
    assert is_too_large(status_error(answer({"message": message}, status), "PUT /x", BARE)) is expected
    assert not is_too_large(InvalidResponseError("x"))


def test_text_of_others_on_one_line():
    assert printable("abc", 3) == "abc"
    assert printable("abcd", 3) == "abc..."
    assert printable("a\nb", 2) == r"a\n..."
    assert on_one_line(" a \n\n\tb\r\n") == "a; b"
    assert on_one_line("error: a\r\n  in b \n") == "error: a; in b"
    assert on_one_line("") == ""


# --- members


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"x"', b"{", b'{"a":1,"a":1}', b'{"a":1}x'])
def test_what_is_no_json_object(body):
    with pytest.raises(InvalidResponseError, match=r"^`GET /x`: the answer is not .*: is this the url of opa\?$"):
        json_object(Reply(200, body), "GET /x")


def test_how_deep_an_answer_may_nest():
    def nested(depth):
        return Reply(200, b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}")

    json_object(nested(80), "GET /x")
    json_object(nested(90), "GET /x", 90)
    for depth, most in ((81, {}), (91, {"max_depth": 90})):
        with pytest.raises(InvalidResponseError):
            json_object(nested(depth), "GET /x", **most)


# --- a query


def query_reply_of(reply, target="/x", *, provenance=False):
    return query_reply(reply, target, SETTINGS, provenance=provenance)


def test_where_a_question_goes():
    assert query_target(("a", "b"), provenance=False) == "/v1/data/a/b"
    assert query_target(("a",), provenance=True) == "/v1/data/a?provenance=true"
    assert query_target((), provenance=True) == "/v1/data?provenance=true"
    with pytest.raises(UsageError):
        query_target(("a b",), provenance=False)


def test_a_reply_without_provenance():
    body = {"result": [1], "decision_id": "d", "provenance": {"version": "0.1.0"}}
    reply = query_reply_of(answer(body, nonce="n"), "/x", provenance=False)
    assert (reply.result, reply.decision_id, reply.version, reply.bundles, reply.nonce) == ([1], "d", None, {}, "n")
    reply = query_reply_of(answer({"decision_id": 7}), "/x", provenance=False)
    assert (reply.result, reply.decision_id, reply.nonce) == (ABSENT, None, None)
    assert query_reply_of(answer({"result": None}), "/x", provenance=False).result is None


def test_a_reply_with_provenance():
    bundles = {"b": {"revision": "r"}, "empty": {"revision": ""}, "none": {}, "odd": {"revision": 7}, "no": "r"}
    body = {"result": 1, "provenance": {"version": "1.22.4", "bundles": bundles}}
    reply = query_reply_of(answer(body), "/x", provenance=True)
    assert (reply.version, reply.bundles) == ("1.22.4", {"b": "r"})
    assert provenance_of({"provenance": {"version": "v", "bundles": ["b"]}}, "x") == ("v", {})
    assert provenance_of({"provenance": {"version": "v"}}, "x") == ("v", {})


@pytest.mark.parametrize("provenance", [None, [], "1.22.4", {}, {"version": 1}, {"version": None}])
def test_a_reply_that_does_not_say_whose_it_is(provenance):
    with pytest.raises(InvalidResponseError, match=r"^`POST /x`: the answer does not hold opa's version"):
        query_reply_of(answer({"result": 1, "provenance": provenance}), "/x", provenance=True)


def test_the_version_is_looked_at_in_each_answer():
    def reply(version):
        return query_reply_of(answer({"provenance": {"version": version}}), "/x", provenance=True).version

    assert [reply("1.20.1"), reply("1.20.1"), reply("1.22.4")] == ["1.20.1", "1.20.1", "1.22.4"]
    for _ in range(2):
        with pytest.raises(UnsupportedOpaVersionError):
            reply("1.20.0")
    assert reply("1.22.4") == "1.22.4"


@pytest.mark.parametrize("status", [204, 500])
def test_a_query_with_another_status(status):
    with pytest.raises((InvalidResponseError, OpaStatusError), match=r"^`POST /x`: .*" + str(status)) as caught:
        query_reply_of(answer({"result": 1, "message": f"Bearer {TOKEN}"}, status), "/x", provenance=False)
    assert TOKEN not in str(caught.value)


def test_a_query_whose_answer_is_no_json():
    with pytest.raises(InvalidResponseError, match=r"^`POST /x`: the answer is not well-formed JSON"):
        query_reply_of(Reply(200, b"x"), "/x", provenance=False)


def test_what_can_be_sent():
    question = RulesQuery(b"{}")
    assert [checked_body(body) for body in (b"", b"x", question)] == [b"", b"x", question]
    for body in (None, "x", bytearray(b"x"), memoryview(b"x"), {}, 1, [b"x"]):
        with pytest.raises(UsageError, match="a body must be bytes"):
            checked_body(body)


# --- what is given back


def test_replies_are_values():
    reply = QueryReply(1, "d", "v", {"b": "r"}, "n")
    assert (QueryReply(1).decision_id, QueryReply(1).version, QueryReply(1).bundles, QueryReply(1).nonce) == (
        *(None, None),
        {},
        None,
    )
    assert QueryReply(1).bundles is not QueryReply(1).bundles
    assert len({reply, QueryReply(1, "d", "v", {"b": "other"}, "n")}) == 2
    assert hash(reply) == hash(QueryReply(1, "d", "v", {}, "n"))
    policy = StoredPolicy("a", "package a", ("a",), frozenset((("a", "x"),)))
    assert policy == StoredPolicy("a", "package a")
    assert (StoredPolicy("a", "t").package, StoredPolicy("a", "t").rules) == ((), frozenset())
    assert policy != StoredPolicy("a", "package b")
    assert Health(ok=True) == Health(ok=True, message="")
    values = (
        reply,
        policy,
        Health(ok=False, message="m"),
        MemoryUsage(1, None),
        CompileReply((), (1,)),
        Reply(200, b"x"),
    )
    for value in values:
        assert pickle.loads(pickle.dumps(value)) == value
        with pytest.raises((AttributeError, TypeError)):
            value.other = 1
        name = type(value).__slots__[0]
        with pytest.raises(AttributeError):
            setattr(value, name, 1)
    assert Reply(200, b"x").nonce is None
