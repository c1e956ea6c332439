"""Pushing: what is refused, what is replaced, what is reported."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from bridge import PolicyBridge, PushRejectedError, ReferenceEngine, UsageError
from bridge.decision import Request
from bridge.store import MemoryStore, Omission, RejectedResource, TextFormat, from_lines, from_objects, push
from bridge.store.store import next_revision
from bridge.strict_json import encode

TYPES = ("devices", "sessions")


def lines(*texts):
    return [text.encode() + b"\n" for text in texts]


def test_lines_are_collected_in_canonical_text_with_sorted_names():
    collected = from_lines(lines('{"id": "a", "custom_data": {"n": 1.0}}', "", " \t\r", '{"id":"\\u0062"}'))
    assert collected.resources == {b'"a"': b'{"custom_data":{"n":1},"id":"a"}', b'"b"': b'{"id":"b"}'}
    assert (collected.read, collected.rejected) == (2, ())


def test_what_is_collected_is_in_the_postings_of_its_custom_data():
    collected = from_lines(
        lines('{"id":"a","x":1,"custom_data":{"n":1,"m":"y"}}', '{"id":"b","custom_data":{"n":1.0}}')
    )
    assert collected.resources.postings == {'["n",1]': [b'"a"', b'"b"'], '["m","y"]': [b'"a"']}


def test_a_resource_may_be_as_long_as_it_may():
    longest = '{"id":"x","n":"' + "a" * (1_048_576 - 17) + '"}'
    assert len(longest) == 1_048_576
    collected = from_lines(lines(longest, longest.replace("a", "aa", 1).replace("x", "y")))
    assert list(collected.resources) == [b'"x"']
    assert str(collected.rejected[0]) == "line 2: longer than 1,048,576 bytes in canonical text (R12.6)"


def test_of_what_is_refused_the_ids_are_told_and_the_others_are_counted():
    collected = from_lines(
        lines("{}", "nonsense", '{"id":7}', '{"id":""}', '{"id":"a","n":1e999}', *['{"id":"b"}'] * 2, '{"id":"c"}')
    )
    assert (collected.read, collected.nameless) == (8, 4)
    assert collected.rejected_ids == {b'"a"', b'"b"'}
    assert type(collected.rejected_ids) is frozenset
    assert from_objects([{}]).nameless == 1
    assert from_objects([{"id": "a"}]).nameless == 0


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ('{"id":"x"', "column 10: "),
        ('{"id":"x","id":"y"}', "duplicate member `id` (R12.2)"),
        ('{"id":"x","n":1e999}', "(R12.5)"),
        ('{"id":"x","n":' + "[" * 64 + "]" * 64 + "}", "(R12.4)"),
        ('{"id":"x","n":"' + "a" * 1_048_576 + '"}', "(R12.6)"),
        ("[]", "a resource must be an object (R12.8)"),
        ("{}", "no `id` (R12.8)"),
        ('{"id":7}', "(R12.8)"),
        ('{"id":""}', "(R12.8)"),
        ('{"id":"x","custom_data":[]}', "(R12.8)"),
    ],
    ids=lambda text: text[:20],
)
def test_a_bad_line_is_refused_with_its_number_and_the_others_are_kept(line, cause):
    collected = from_lines(lines('{"id":"a"}', "", line, '{"id":"b"}'))
    assert list(collected.resources) == [b'"a"', b'"b"']
    assert [refusal.place for refusal in collected.rejected] == ["line 3"]
    assert cause in collected.rejected[0].cause


def test_an_id_that_comes_twice_is_refused_both_times():
    collected = from_lines(lines('{"id":"a"}', '{"id":"b"}', '{"id":"\\u0061","x":1}', '{"id":"A"}'))
    assert list(collected.resources) == [b'"b"', b'"A"']
    assert [str(refusal) for refusal in collected.rejected] == [
        'line 1: the id "a" comes more than once: also in line 3',
        'line 3: the id "a" comes more than once: also in line 1',
    ]


def test_a_twin_that_is_refused_for_something_else_is_a_twin():
    collected = from_lines(lines('{"id":"a"}', '{"id":"a","custom_data":5}', '{"id":"b","custom_data":5}'))
    assert not collected.resources
    twin, broken = (
        'the id "a" comes more than once: also in line',
        "the resource's `custom_data` must be an object (R12.8)",
    )
    assert [str(refusal) for refusal in collected.rejected] == [
        f"line 1: {twin} 2",
        f"line 2: {broken}; {twin} 1",
        f"line 3: {broken}",
    ]


def test_an_id_that_comes_very_often_is_told_briefly():
    collected = from_objects([{"id": "a"}] * 5_000)
    assert not collected.resources
    assert len(collected.rejected) == 5_000
    assert str(collected.rejected[9]).endswith("item 1, item 2, item 3, item 4, item 5 and 4994 more")


@pytest.mark.parametrize("count", [2, 5, 6, 7, 8])
def test_of_the_twins_of_a_resource_the_first_five_are_named(count):
    collected = from_objects([{"id": "a"}] * count)
    for number, refusal in enumerate(collected.rejected, 1):
        others = [other for other in range(1, count + 1) if other != number]
        named = ", ".join(f"item {other}" for other in others[:5])
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        assert str(refusal) == f'item {number}: the id "a" comes more than once: also in {named}{more}'


@pytest.mark.parametrize(("length", "shown"), [(78, '"' + "x" * 78 + '"'), (79, '"' + "x" * 79 + "...")])
def test_a_long_id_that_comes_twice_is_shown_briefly(length, shown):
    collected = from_objects([{"id": "x" * length}] * 2)
    assert collected.rejected[0].cause == f"the id {shown} comes more than once: also in item 2"


def test_no_refusal_forges_a_line():
    collected = from_objects([{"id": "a\u202e\u2028\x7f"}] * 2)
    assert str(collected.rejected[0]) == r'item 1: the id "a\u202e\u2028\u007f" comes more than once: also in item 2'


@pytest.mark.parametrize("value", [RejectedResource("line 1", "no JSON"), from_objects([{}]), Omission.of(["x"])])
def test_what_was_read_cannot_be_changed(value):
    for field in fields(value):
        with pytest.raises(FrozenInstanceError):
            setattr(value, field.name, None)
    assert not hasattr(value, "__dict__")


def test_a_file_that_was_cut_off_is_recognised():
    collected = from_lines([b'{"id":"a"}\n', b'{"id":"b","custom_da'])
    assert "cut off" in collected.rejected[0].cause
    assert from_lines([b'{"id":"a"}\n', b'{"id":"b"}']).rejected == ()


def test_python_objects_obey_the_same_rules():
    collected = from_objects([{"id": "a"}, {"id": "b", "n": float("nan")}, {"id": "c", "t": ()}, ("id", "d")])
    assert list(collected.resources) == [b'"a"']
    assert [refusal.place for refusal in collected.rejected] == ["item 2", "item 3", "item 4"]
    assert (collected.form, collected.what, collected.omitted) == (TextFormat.OBJECTS, "", Omission())
    assert "`/n`" in collected.rejected[0].cause


def stored(store, type_="devices"):
    return list(store.stored(encode(type_)).all_ids())


def test_a_push_replaces_one_type_and_no_other():
    store = MemoryStore(TYPES)
    push(store, "sessions", from_objects([{"id": "s"}]))
    first = push(store, "devices", from_objects([{"id": "a"}, {"id": "b"}, {"id": "c"}]))
    second = push(store, "devices", from_objects([{"id": "b"}, {"id": "c"}, {"id": "d"}]))
    assert stored(store, "sessions") == [b'"s"']
    assert (first.stored, first.before, first.removed) == (3, 0, 0)
    assert (second.stored, second.before, second.removed) == (3, 3, 1)
    third = push(store, "devices", from_objects([{"id": "c", "x": 1}, {"id": "d"}, {"id": "e"}]))
    assert [(report.added, report.changed, report.removed) for report in (first, second, third)] == [
        *((3, 0, 0), (1, 0, 1), (1, 1, 1))
    ]
    assert int(second.revision) > int(first.revision)


def test_nothing_is_pushed_where_anything_is_refused_unless_that_is_skipped():
    store = MemoryStore(TYPES)
    push(store, "devices", from_objects([{"id": "a"}]))
    collected = from_objects([{"id": "a"}, {"id": "b"}, {}])
    for force in (False, True):
        with pytest.raises(PushRejectedError) as refused:
            push(store, "devices", collected, force=force)
        assert str(refused.value) == (
            "nothing was pushed: 1 of 3 resources are refused, first item 3: the resource has no `id` (R12.8); "
            "correct them, or push the others with `skip_invalid` (--skip-invalid)"
        )
        assert refused.value.rejected == collected.rejected
        assert stored(store) == [b'"a"']
    assert push(store, "devices", collected, skip_invalid=True).rejected == collected.rejected
    assert stored(store) == [b'"a"', b'"b"']


def test_an_empty_push_must_be_forced():
    store = MemoryStore(TYPES)
    with pytest.raises(PushRejectedError, match="no resource to push"):
        push(store, "devices", from_objects([]))
    push(store, "devices", from_objects([{"id": "a"}]))
    with pytest.raises(PushRejectedError, match="no resource to push"):
        push(store, "devices", from_objects([]))
    assert stored(store) == [b'"a"']
    assert push(store, "devices", from_objects([]), force=True).removed == 1
    assert stored(store) == []


@pytest.mark.parametrize("force", [False, True])
def test_a_source_of_nothing_but_mistakes_removes_nothing(force):
    store = MemoryStore(TYPES)
    push(store, "devices", from_objects([{"id": "a"}]))
    collected = from_lines(lines('["a"]', '{"id":""}'))
    with pytest.raises(
        PushRejectedError, match=r"all 2 resources are refused, .*; a file must have one JSON object a line"
    ):
        push(store, "devices", collected, skip_invalid=force, force=force)
    assert stored(store) == [b'"a"']


def test_removing_more_than_half_must_be_forced():
    store = MemoryStore(TYPES)
    push(store, "devices", from_objects([{"id": str(n)} for n in range(4)]))
    half = from_objects([{"id": "0"}, {"id": "1"}])
    others = from_objects([{"id": "0"}, {"id": "x"}, {"id": "y"}, {"id": "z"}])
    with pytest.raises(PushRejectedError, match="3 of the 4"):
        push(store, "devices", others)
    assert stored(store) == [b'"0"', b'"1"', b'"2"', b'"3"']
    assert push(store, "devices", half).removed == 2
    assert push(store, "devices", from_objects([{"id": "x"}]), force=True).removed == 2


@pytest.mark.parametrize("argument", [None, 5, {"id": "a"}, "[]", b"[]"])
def test_what_is_not_several_resources_is_told(argument):
    name = type(argument).__name__
    for give in (from_objects, lambda argument: PolicyBridge(ReferenceEngine()).push("devices", argument)):
        with pytest.raises(UsageError, match=rf"a list of dicts, not a {name}: `bridge.store.from_file` reads a file"):
            give(argument)


def test_a_store_knows_its_types_only():
    store = MemoryStore(TYPES)
    with pytest.raises(UsageError):
        store.replace("x", {})
    with pytest.raises(UsageError):
        PolicyBridge(ReferenceEngine()).push("x", [{"id": "a"}])


def test_a_store_finds_by_type_and_id_alone():
    store = MemoryStore(TYPES)
    report = push(store, "devices", from_objects([{"id": "1"}]))
    find = store.find
    assert find(Request(None, b'"devices"', id=b'"1"')) == (b'{"id":"1"}', report.revision)
    assert find(Request(None, b'"devices"', id=b"1")) == (None, report.revision)
    assert find(Request(None, b'"sessions"', id=b'"1"')) == (None, None)
    assert find(Request(None, b'"x"', id=b'"1"')) == (None, None)
    assert find(Request(None, b'"devices"', resource=b"{}", id=b'"1"')) == (None, None)


def test_a_revision_never_goes_backwards():
    ahead = str(10**18)
    assert next_revision(ahead) == str(10**18 + 1)
    assert int(next_revision(None)) > 1_700_000_000_000_000
    assert int(next_revision("garbage")) > 1_700_000_000_000_000
