"""What a push that leaves out refused resources removes by that, and says."""

from __future__ import annotations

import pytest

from bridge import MalformedInputError, PolicyBridge, PushRejectedError, ReferenceEngine
from bridge.store import collect, from_chunks, from_objects
from bridge.strict_json import encode

BEFORE = [{"id": id_} for id_ in "abcdefgh"]


@pytest.fixture
def bridge():
    """A bridge with eight devices."""
    with PolicyBridge(ReferenceEngine()) as opened:
        opened.push("devices", BEFORE)
        yield opened


def stored(bridge):
    return [id_.decode().strip('"') for id_ in bridge.engine.store.stored(encode("devices")).all_ids()]


def lines(*bad, without="b"):
    good = [f'{{"id":"{each["id"]}"}}' for each in BEFORE if each["id"] not in without]
    return from_chunks(["\n".join([*good, *bad]).encode()])


@pytest.mark.parametrize("how", ["push", "sync"])
@pytest.mark.parametrize(
    ("bad", "removed"),
    [
        ('{"id":"b","custom_data":5}', ("b",)),
        ('{"id":"b","n":1e999}', ("b",)),
        ('{"id":"\\u0062","n":[' + "[" * 64 + "]" * 64 + "]}", ("b",)),
        ('{"id":"new","n":1e999}', ()),
        # Where nobody knows which one is refused, any that is gone may be it.
        ('{"id":"b","id":"x"}', ("b", "c")),
        ('{"id":"b","custom', ("b", "c")),
        ('{"id":"\\ud800"}', ("b", "c")),
        ("nonsense", ("b", "c")),
        ("{}", ("b", "c")),
    ],
)
def test_what_is_removed_for_its_new_version_is_refused_is_told(bridge, how, bad, removed):
    collected = lines(bad, without="bc")
    with pytest.raises(PushRejectedError):
        getattr(bridge, how)("devices", collected, force=True)
    assert stored(bridge) == list("abcdefgh")
    report = getattr(bridge, how)("devices", collected, skip_invalid=True)
    assert stored(bridge) == list("adefgh")
    assert (report.removed, len(report.rejected)) == (2, 1)
    assert tuple(sorted(report.removed_as_rejected)) == removed


def test_twins_are_told(bridge):
    report = bridge.push("devices", lines('{"id":"b"}', '{"id":"b","x":1}'), skip_invalid=True)
    assert report.removed_as_rejected == ("b",)


def test_what_is_removed_while_nothing_is_refused_is_not_told(bridge):
    assert bridge.push("devices", BEFORE[:5]).removed_as_rejected == ()
    assert bridge.sync("devices", BEFORE[:4]).removed_as_rejected == ()


def test_python_objects_are_told(bridge):
    report = bridge.push("devices", [*BEFORE[2:], {"id": "a", "n": ()}], skip_invalid=True)
    assert report.removed_as_rejected == ("a",)
    report = bridge.push("devices", [*BEFORE[3:], ()], skip_invalid=True)
    assert report.removed_as_rejected == ("c",)


def test_more_than_half_refused_takes_force_too(bridge):
    half = [*BEFORE[:4], *[{}] * 4]
    more = [*BEFORE[:4], *[{}] * 5]
    for how in (bridge.push, bridge.sync):
        assert len(how("devices", half, skip_invalid=True).rejected) == 4
        with pytest.raises(
            PushRejectedError, match=r"5 of 9 resources are refused, .*more than half: correct them, or"
        ):
            how("devices", more, skip_invalid=True)
        with pytest.raises(PushRejectedError, match="push the others with `skip_invalid`"):
            how("devices", more, force=True)
        assert len(how("devices", more, skip_invalid=True, force=True).rejected) == 5
        with pytest.raises(PushRejectedError, match=r"all 9 resources are refused, first item 1: .*; correct them\Z"):
            how("devices", [{}] * 9, skip_invalid=True, force=True)


@pytest.mark.parametrize(
    "text", ['[{"id":"x"},{"id":"a"}', '[{"id":"a"}]x', '[{"id":"a"}{"id":"b"}]', '{\n"id":\n"a"\n}']
)
def test_no_setting_takes_a_part_of_a_broken_text(text):
    with pytest.raises(MalformedInputError):
        from_chunks([text.encode()])


def test_a_source_is_all_or_nothing(tmp_path):
    file = tmp_path / "devices.json"
    file.write_text('[{"id":"a"},\n{"id":"b"}]')
    assert list(collect(file).resources) == [b'"a"', b'"b"']
    file.write_text("[]")
    assert collect(file).read == 0
    for blank in ("", "\n"):
        file.write_text(blank)
        with pytest.raises(
            MalformedInputError, match=r"an empty file: write `\[\]` if there are no resources"
        ) as refused:
            collect(file)
        assert (refused.value.rule, refused.value.what) == ("R12.1", f"`{file}`")
    assert collect(lambda: [{"id": "a"}, {}]).rejected


def test_what_was_collected_is_pushed_as_it_is(bridge):
    collected = from_objects([{"id": "a"}])
    assert bridge.push("devices", collected, force=True).stored == 1
