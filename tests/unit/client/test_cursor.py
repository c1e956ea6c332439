"""Cursors: one text for one place, bound to what grants, and to nothing else."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import PolicyBridge, PolicySettings, ReferenceEngine, RuleSet, UsageError, WasmEngine
from bridge.listing import Cursor, bound_to
from bridge.strict_json import encode

ABOUT = "0" * 32
PLACE = ["17", 3, "d1", ABOUT]


def written(value, *, separators=(",", ":"), ensure_ascii=False):
    text = value if isinstance(value, bytes) else json.dumps(value, separators=separators, ensure_ascii=ensure_ascii)
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(revision=st.integers(0, 10**40 - 1).map(str), page=st.integers(0, 10**39), last=ids)
def test_a_place_is_read_as_it_was_written(revision, page, last):
    cursor = Cursor(revision, page, last)
    text = cursor.text(ABOUT)
    assert Cursor.read(text, ABOUT) == cursor
    assert text == written([revision, page, last, ABOUT])
    assert "=" not in text


@pytest.mark.parametrize(
    "text",
    [
        *(None, 7, True, b"WyIxNyJd", ["a"], "", " ", "=", "é", "\ud800", "a", "%", "W10", "e30", "bnVsbA"),
        *(written(value) for value in (None, 7, "17", {}, [], ["17"], PLACE[:3], [*PLACE, 1], dict(enumerate(PLACE)))),
        *(
            written([value, *PLACE[1:]])
            for value in (None, 17, "", "x", "-1", "1.0", " 17", "\u0661\u0667", "9" * 41, ["17"])
        ),
        *(written(["17", value, "d1", ABOUT]) for value in (None, True, False, "3", -1, -3, 3.0, 3.5, [3])),
        *(written(["17", 3, value, ABOUT]) for value in (None, 7, True, ["d1"], {"id": "d1"})),
        *(written(["17", 3, "d1", value]) for value in (None, 7, True, [ABOUT])),
        *(written(b'["17",%b,"d1","%b"]' % (page, ABOUT.encode())) for page in (b"3e0", b"03", b"+3", b"-0", b"0x3")),
        *(written(b'["17",%b,"d1","%b"]' % (page, ABOUT.encode())) for page in (b"NaN", b"1e400", b"9" * 41)),
        written(PLACE, separators=(", ", ":")),
        written(["17", 3, "é", ABOUT], ensure_ascii=True),
        written(["17", 3, "\ud800", ABOUT]),
        written(b'["17",3,"\\ud800","%b"]' % ABOUT.encode()),
        written(b'["17",3,"\\u0064\\u0031","%b"]' % ABOUT.encode()),
        written(b'\xef\xbb\xbf["17",3,"d1","%b"]' % ABOUT.encode()),
        written(b'["17",3,"\xff","%b"]' % ABOUT.encode()),
        written(b'["17",3,"d1","%b"]x' % ABOUT.encode()),
        written(b"[" * 100_000),
    ],
    ids=lambda text: ascii(text)[:60],
)
def test_what_no_list_has_given_is_refused(text):
    with pytest.raises(UsageError, match="must be the unchanged `cursor` of an earlier list"):
        Cursor.read(text, ABOUT)


def test_a_cursor_has_one_text():
    """Standard base64, padding, spaces, and the bits that a decoder passes over."""
    text = written(["17", 3, "~~~???>>>", ABOUT])
    assert Cursor.read(text, ABOUT).last == "~~~???>>>"
    assert {"-", "_"} & set(text)
    padded = text + "=" * (-len(text) % 4)
    last = text[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for other in (
        text.replace("-", "+").replace("_", "/"),
        padded if padded != text else text + "==",
        text + "=",
        " " + text,
        text + "\n",
        text[:8] + "\n" + text[8:],
        text[:8] + "!" + text[8:],
        text[:-1] + alphabet[alphabet.index(last) ^ 1],
        text[:-1],
        text + "A",
        text * 2,
    ):
        if other != text:
            with pytest.raises(UsageError):
                Cursor.read(other, ABOUT)


def test_a_cursor_has_a_bounded_size():
    longest = "x" * 1_048_500  # about what an id can be at most (R12.6)
    text = Cursor("9" * 40, 10**39, longest).text(ABOUT)
    assert Cursor.read(text, ABOUT).last == longest
    assert Cursor.read(written(["17", 3, longest + "x" * 286, ABOUT]), ABOUT).page == 3
    for more in (*range(287, 300), 10_000_000):
        with pytest.raises(UsageError, match="must be the unchanged `cursor`"):
            Cursor.read(written(["17", 3, longest + "x" * more, ABOUT]), ABOUT)
    for fewer in range(0, 300, 7):  # up to the bound and beyond it: a number whose canonical text is longer
        text = written(b'["17",1e39,"%b","%b"]' % (longest.encode() + b"x" * fewer, ABOUT.encode()))
        with pytest.raises(UsageError, match="must be the unchanged `cursor`"):
            Cursor.read(text, ABOUT)


def test_a_cursor_of_another_list_is_told():
    text = Cursor("17", 3, "d1").text(ABOUT)
    for other in ("0" * 31 + "1", "", "0" * 31, ABOUT + "0"):
        with pytest.raises(UsageError, match="of another policy claim, resource type or rule set"):
            Cursor.read(text, other)


POLICY = {"version": 2, "devices": {"id": "d1", "custom_data": {"n": 1, "b": [1, {"x": 1}]}}}


def bound(claims, type_="devices", rule_set=None):
    return bound_to(encode(claims), encode(type_), rule_set or RuleSet())


def test_what_a_cursor_is_bound_to_has_128_bits():
    assert all(len(bound(claims)) == 32 for claims in ({}, [], {"policy": POLICY}))


def test_a_renewed_token_has_the_same_lists():
    first = bound({"policy": POLICY, "iat": 1, "exp": 2, "jti": "a", "sub": "agent"})
    policy = {
        "devices": {"custom_data": {"b": [1.0, {"x": 1}], "n": 1.0}, "id": "d1"},
        "version": 2.0,
    }
    assert bound({"sub": "other", "iat": 3, "exp": 4, "policy": policy}) == first
    assert bound({"exp": 1}) == bound({}) == bound({"Policy": POLICY})


def test_lists_of_what_is_granted_otherwise_are_others():
    others = [
        bound({"policy": POLICY}),
        bound({"policy": POLICY}, "sessions"),
        bound({"policy": POLICY}, rule_set=RuleSet(policy=PolicySettings(require_policy=True))),
        bound({"policy": POLICY}, rule_set=RuleSet(package_root="other")),
        bound({}),
        bound([]),
        bound({"policy": None}),
        bound({"policy": "no policy"}),
        bound({"policy": "no claims"}),
        bound({"policy": {}}),
        bound({"policy": []}),
        bound({"policy": 0}),
        bound({"policy": False}),
        bound({"policy": {"version": 2}}),
        bound({"policy": {"version": 2, "devices": {}}}),
        bound({"policy": {"version": 2, "devices": {"custom_data": {"n": 1}}}}),
        bound({"policy": {"version": 2, "devices": {"custom_data": {"n": "1"}}}}),
        bound({"policy": {"version": 2, "devices": {"custom_data": {"n": True}}}}),
        bound({"policy": {"version": 2, "devices": {"custom_data": {"n": 1.5}}}}),
        bound({"policy": {"version": 2, "devices": {"custom_data": {"n": 10**30}}}}),
        bound({"policy": {"version": 2, "devices": {"custom_data": {"n": [1, 2]}}}}),
        bound({"policy": {"version": 2, "devices": {"custom_data": {"n": [2, 1]}}}}),
    ]
    assert len(set(others)) == len(others)
    named = RuleSet(policy=PolicySettings(claim="p"))
    assert bound({"p": POLICY}, rule_set=named) != bound({"policy": POLICY}, rule_set=named)
    assert bound({"policy": POLICY}, rule_set=named) == bound({}, rule_set=named)


@pytest.fixture(scope="module", params=[ReferenceEngine, WasmEngine])
def bridge(request):
    with PolicyBridge(request.param()) as bridge:
        for type_ in ("devices", "sessions"):
            bridge.push(type_, [{"id": f"d{number}", "custom_data": {"n": 1}} for number in range(9)])
        yield bridge


def claims(n=1, **others):
    return {"policy": {"version": 2, "devices": {"custom_data": {"n": n}}, "sessions": {}}} | others


def test_a_cursor_of_other_claims_is_refused(bridge):
    first = bridge.list_allowed(claims(), "devices", limit=4)
    assert first.ids == ("d0", "d1", "d2", "d3")
    for other in (claims(n=2), claims(n=True), claims(n="1"), {}, {"policy": None}, {"policy": {"version": 2}}):
        with pytest.raises(UsageError, match="another list"):
            bridge.list_allowed(other, "devices", after=first.cursor)
    with pytest.raises(UsageError, match="another list"):
        bridge.list_allowed(claims(), "sessions", after=first.cursor)
    renewed = bridge.list_allowed(claims(iat=7, exp=9), "devices", after=first.cursor)
    assert (renewed.ids, renewed.complete) == (("d4", "d5", "d6", "d7", "d8"), True)


def test_without_a_policy_a_list_goes_on_too(bridge):
    first = bridge.list_allowed({"iat": 1}, "devices", limit=4)
    assert first.everything
    assert bridge.list_allowed({"iat": 2}, "devices", after=first.cursor).ids == ("d4", "d5", "d6", "d7", "d8")
    with pytest.raises(UsageError, match="another list"):
        bridge.list_allowed(claims(), "devices", after=first.cursor)
