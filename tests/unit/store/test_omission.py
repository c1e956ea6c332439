"""Members of resources that are checked and not stored."""

from __future__ import annotations

import pytest

from bridge import ConfigurationError, PolicyBridge, PushRejectedError, ReferenceEngine, UsageError
from bridge.store import Omission, collect, from_chunks, from_lines, from_objects, with_omission

DEVICE = {
    "id": "5f0c",
    "device": {"app_id": "com.example.shop", "platform": "ios", "tags": [{"k": "v"}]},
    "custom_data": {"user_id": "u1", "notification_token": "no secret"},
    "notification_token": "made-up-push-token",
    "a/b": 1,
    "~": 2,
}


def dropped(*omit):
    (text,) = from_objects([DEVICE], omit=omit).resources.values()
    return text.decode()


@pytest.mark.parametrize(
    ("omit", "gone"),
    [
        ("notification_token", ',"notification_token":"made-up-push-token"'),
        ("/notification_token", ',"notification_token":"made-up-push-token"'),
        ("/device/app_id", '"app_id":"com.example.shop",'),
        ("/device/tags", ',"tags":[{"k":"v"}]'),
        ("a/b", '"a/b":1,'),
        ("/a~1b", '"a/b":1,'),
        ("~", ',"~":2'),
        ("/~0", ',"~":2'),
        ("/a/b", ""),
        ("/", ""),
        ("nothing", ""),
        ("Notification_token", ""),
        ("/notification_token/x", ""),
        ("/device/app_id/x", ""),
        ("/nothing/below", ""),
        ("/device/id", ""),
        ("/custom_data~1x", ""),
    ],
)
def test_a_member_is_named_by_its_top_level_name_or_a_pointer(omit, gone):
    whole = dropped()
    assert gone in whole
    assert dropped(omit) == whole.replace(gone, "")
    assert DEVICE["notification_token"], "the object that was given is left as it is"


def test_several_members():
    assert dropped("a/b", "~", "/device/app_id", "device", "notification_token") == (
        '{"custom_data":{"notification_token":"no secret","user_id":"u1"},"id":"5f0c"}'
    )


@pytest.mark.parametrize(
    ("omit", "expected"),
    [
        ("id", "`id` cannot be left out, for policies look at `id` and `custom_data`"),
        ("custom_data", "`custom_data` cannot be left out"),
        ("/id", "cannot be left out"),
        ("/id/x", "cannot be left out"),
        ("/custom_data", "cannot be left out"),
        ("/custom_data/user_id", "omit other members, or change the source"),
        ("", "names no member: give the name of one, or a JSON Pointer such as `/device/app_id`"),
        (7, "7 names no member"),
        (None, "None names no member"),
        ("/a~", "is no JSON Pointer: in it `~` is written `~0`"),
        ("/a~2b", "is no JSON Pointer"),
        ("/~~0", "is no JSON Pointer"),
    ],
)
def test_what_cannot_be_left_out(omit, expected):
    with pytest.raises(ConfigurationError) as refused:
        from_objects([], omit=[omit])
    assert expected in str(refused.value)


@pytest.mark.parametrize("omit", ["notification_token", b"x"])
def test_one_name_is_not_several(omit):
    with pytest.raises(ConfigurationError, match="several names are needed"):
        Omission.of(omit)


def test_an_index_of_an_array_is_refused_with_what_to_do():
    for omit in ("/device/tags/0", "/device/tags/0/k", "/device/tags/-"):
        (refusal,) = from_objects([DEVICE], omit=[omit]).rejected
        assert refusal.cause == f"omit: `{omit}` leads through an array: omit `/device/tags` as a whole"
    collected = from_objects([DEVICE], omit=["/device/tags/0", "device"])
    assert not collected.rejected, "what is left out as a whole has no array any more"


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ('{"id":"a","secret":{"x":1,"x":2}}', "(R12.2)"),
        ('{"id":"a","secret":"\\ud800"}', "(R12.3)"),
        ('{"id":"a","secret":' + "[" * 64 + "]" * 64 + "}", "(R12.4)"),
        ('{"id":"a","secret":1e999}', "(R12.5)"),
        ('{"id":"a","secret":"' + "x" * 1_048_576 + '"}', "(R12.6)"),
        ('{"id":"a","secret":1,"custom_data":[]}', "(R12.8)"),
    ],
)
def test_what_is_left_out_obeys_r12_first(line, cause):
    for text in (line, f"[{line}]"):
        (refusal,) = from_chunks([text.encode()], omit=["secret"]).rejected
        assert cause in refusal.cause
    (refusal,) = from_objects([{"id": "a", "secret": {1, 2}}], omit=["secret"]).rejected
    assert "(R12.7)" in refusal.cause


def bridges():
    bridge = PolicyBridge(ReferenceEngine())
    bridge.push("devices", [{"id": "x"}])
    return bridge


def stored(bridge):
    return bridge.engine.store.stored(b'"devices"').resources


OMIT = ("secret", "/device/token")
RESOURCES = [{"id": str(n), "n": n, "secret": "s", "device": {"token": "t", "platform": "ios"}} for n in range(3)]
KEPT = {f'"{n}"'.encode(): f'{{"device":{{"platform":"ios"}},"id":"{n}","n":{n}}}'.encode() for n in range(3)}


def test_a_sync_finds_no_difference_after_a_push_with_the_same_omit():
    bridge = bridges()
    bridge.push("devices", RESOURCES, omit=OMIT, force=True)
    assert stored(bridge) == KEPT
    assert bridge.sync("devices", RESOURCES, omit=reversed(OMIT)).revisions == 0
    assert bridge.sync("devices", RESOURCES, omit=("/secret", "/device/token")).revisions == 0
    assert bridge.sync("devices", RESOURCES).changed == 3
    assert bridge.sync("devices", RESOURCES, omit=OMIT).changed == 3
    assert bridge.upsert("devices", RESOURCES, omit=OMIT).changed == 0


def test_what_was_read_is_read_with_the_same_omit():
    bridge = bridges()
    lines = [b'{"id":"0","secret":1}\n']
    collected = from_lines(lines, omit=["secret"])
    assert bridge.push("devices", collected, force=True).stored == 1
    assert bridge.push("devices", collected, omit=["/secret"]).changed == 0
    for other in (from_lines(lines), from_lines(lines, omit=["secret", "x"])):
        with pytest.raises(UsageError, match="read with another `omit`: give it to the function that reads them"):
            bridge.push("devices", other, omit=["secret"])


def test_sources_leave_out_likewise(tmp_path):
    file = tmp_path / "devices.json"
    file.write_text('[{"id":"a","secret":1}]')
    all_sources = {
        "devices": file,
        "sessions": lambda: [{"id": "s", "secret": 1}],
        "robots": None,
        "cars": "cars.jsonl",
    }
    sources = with_omission(all_sources, ["secret"])
    assert dict(collect(sources["devices"]).resources) == {b'"a"': b'{"id":"a"}'}
    assert dict(collect(sources["sessions"]).resources) == {b'"s"': b'{"id":"s"}'}
    assert (sources["robots"], sources["cars"]) == (None, "cars.jsonl"), "they are refused by who is given them"
    assert with_omission(all_sources, []) is all_sources
    with pytest.raises(ConfigurationError):
        with_omission(all_sources, ["id"])


def test_the_omitted_is_not_pushed_even_where_others_are_refused():
    bridge = bridges()
    with pytest.raises(PushRejectedError):
        bridge.push("devices", [*RESOURCES, {"secret": 1}], omit=OMIT, force=True)
    bridge.push("devices", [*RESOURCES, {"secret": 1}], omit=OMIT, force=True, skip_invalid=True)
    assert stored(bridge) == KEPT


def test_what_a_resource_lacks_does_not_keep_the_rest():
    assert '"~"' not in dropped("nothing", "~", "/nothing/below")
    omission = Omission.of(["nothing", "~"])
    assert omission.affects(DEVICE) is True
    assert omission.affects({"id": "a"}) is False


def test_equal_omissions_are_equal_and_have_one_hash():
    one, other = Omission.of(["b", "/a", "b"]), Omission.of(iter(["a", "/b"]))
    assert one.paths == (("a",), ("b",))
    assert (one, hash(one)) == (other, hash(other))


def test_nothing_is_left_out_where_nobody_says():
    assert Omission() == Omission.of(())
    assert not Omission()
