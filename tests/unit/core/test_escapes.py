"""What is not printable never reaches a terminal or a log, and what is escaped can be read back."""

from __future__ import annotations

import json
import logging
import pickle
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge import errors
from bridge.decision import PartialResultError
from bridge.escapes import escaped, escaped_json, shown
from bridge.store import from_objects
from bridge.strict_json import encode

HOSTILE = "a\nallowed: matched\r\t\x00\x1b[31m\x7f\x9b2J\u202e\u2066\u2028\u2029\u200b\ufeff"
HOSTILE += "\U000e0001\ud800\ue000\u0378\xa0b\\n"


def test_every_character_that_is_not_printable_is_escaped():
    categories = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    for number in range(0x110000):
        char = chr(number)
        if unicodedata.category(char) in categories:
            text = escaped(char)
            assert text.isascii()
            assert text.isprintable()
            assert json.loads(f'"{text}"') == char
    assert escaped("\n\r\t\x1b\x9b\u202e\U000e0001") == "\\n\\r\\t\\u001b\\u009b\\u202e\\udb40\\udc01"
    assert escaped('é "x" \\ 𠀀') == 'é "x" \\ 𠀀'


@given(st.text())
@example("\\n")
@example('"a"')
@example("")
@example(HOSTILE)
def test_a_shown_text_can_be_read_back(text):
    seen = shown(text)
    assert seen.isprintable()
    assert (json.loads(seen) if seen.startswith('"') else seen) == text


def test_texts_that_differ_are_shown_differently():
    texts = ["a\nb", "a\\nb", '"a\\nb"', "a\\\nb", '"a\nb"', "a\\u000ab", "a\tb", "a b", "a\xa0b", "a\u200bb", "ab"]
    assert len({shown(text) for text in texts}) == len(texts)
    assert shown("a\nb") == '"a\\nb"'
    assert shown("a\\nb") == '"a\\\\nb"'


@given(st.recursive(st.text(), lambda inner: st.dictionaries(st.text(), inner) | st.lists(inner)))
@example({HOSTILE.replace("\ud800", ""): "\U000e0001\U00020000\x7f"})
def test_json_that_is_escaped_has_the_same_value(value):
    try:
        text = encode(value)
    except errors.MalformedInputError:
        return
    seen = escaped_json(text)
    assert json.loads(seen) == json.loads(text) == value
    assert seen.decode().isprintable()


def made(kind):
    if kind is errors.MalformedInputError:
        return kind(HOSTILE, rule=HOSTILE, what=HOSTILE, line=1, column=1, pointer=f"/{HOSTILE}")
    if kind is errors.OpaStatusError:
        return kind(HOSTILE, status=400, opa_code=HOSTILE, opa_message=HOSTILE)
    if kind is PartialResultError:
        return kind(errors.EngineError(HOSTILE), (None,))
    return kind(HOSTILE)


def all_errors(kind=errors.BridgeError):
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ in ("bridge.errors", "bridge.decision"):
            yield from all_errors(below)


@pytest.mark.parametrize("kind", list(all_errors()), ids=lambda kind: kind.__name__)
def test_no_error_writes_a_line_of_its_own(kind, caplog):
    error = made(kind)
    assert str(error).isprintable()
    assert "allowed: matched" in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    logging.getLogger("bridge").warning("a service says: %s", error)
    assert caplog.messages[-1].isprintable()


def test_no_refused_resource_writes_a_line_of_its_own():
    """What is refused stands in reports and errors, and services write it to their logs."""
    id_ = HOSTILE.replace("\ud800", "")
    collected = from_objects(
        [{"id": id_}, {"id": id_}, {"id": "a", id_: [1]}, {"id": id_, "b": {HOSTILE: 1}}], omit=[f"/{id_}/c"]
    )
    assert len(collected.rejected) == 4
    for refusal in collected.rejected:
        assert str(refusal).isprintable(), str(refusal)


def test_a_pointer_is_told_from_one_that_looks_like_it():
    texts = {
        str(errors.MalformedInputError("c", rule="R", pointer=pointer))
        for pointer in ("/a\nb", "/a\\nb", '/"a\\nb"', "/a b")
    }
    assert len(texts) == 4
    assert "c (R)" in str(errors.MalformedInputError("c", rule="R"))
