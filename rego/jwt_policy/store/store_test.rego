package jwt_policy.store_test

import data.jwt_policy.index
import data.jwt_policy.store
import data.jwt_policy.stored_test

_devices := {
	"a": {"id": "a", "custom_data": {"user": "u", "site": 1}},
	"b": {"id": "b", "custom_data": {"user": "u"}},
}

# Another type and what other pushes have left lie beside what is current.
_stored := {
	"devices": json.patch(stored_test.indexed("7", _devices), [
		{"op": "add", "path": "/generations/g/digests", "value": {"s0c": "1", "s92": "2"}},
		{"op": "add", "path": "/generations/old", "value": _other},
	]),
	"users": json.patch(stored_test.indexed("7", _devices), [{"op": "add", "path": "/generations/g", "value": _other}]),
	"zones": json.patch(stored_test.indexed("7", _devices), [{"op": "replace", "path": "/state/layout", "value": 2}]),
}

_other := {
	"resources": {"s0c": {"bc1": {"z": {"id": "z"}}}, "s4a": {"b8a": {"z": {"id": "z"}}}},
	"digests": {"s0c": "3", "s4a": "3", "s92": "3"},
}

_view(changes) := result if {
	result := store.view("devices", changes) with data.jwt_policy_data as _stored
}

_change(id, postings) := {"id": id, "shard": shard, "bucket": bucket, "postings": postings} if {
	hash := crypto.md5(id)
	shard := concat("", ["s", substring(hash, 0, 2)])
	bucket := concat("", ["b", substring(hash, 2, 2)])
}

test_view_of_a_change_of_one_member if {
	after := [index.all_ids, index.posting("user", "u"), index.posting("site", 2)]
	_view([_change("a", after)]) == {
		"buckets": {"s0c/bc1": {"a": _devices.a}},
		"digests": {"s0c": "1"},
		"small": {index.posting("site", 1).name: ["a"]},
		"large": {},
	}
}

test_view_of_a_removal if {
	_view([_change("a", [])]) == {
		"buckets": {"s0c/bc1": {"a": _devices.a}},
		"digests": {"s0c": "1"},
		"small": {index.posting("site", 1).name: ["a"], index.posting("user", "u").name: ["a", "b"]},
		"large": {"all": {"size": 2, "places": {"a": "0"}, "pages": {"0": ["a", "b"]}}},
	}
}

test_view_of_a_new_resource if {
	_view([_change("c", [index.all_ids, index.posting("user", "u"), index.posting("new", 1)])]) == {
		"buckets": {"s4a/b8a": {}},
		"digests": {},
		"small": {index.posting("user", "u").name: ["a", "b"]},
		"large": {"all": {"size": 2, "places": {"c": "0"}, "pages": {"0": ["a", "b"]}}},
	}
}

# A long one is empty once all that were in it are gone.

test_view_of_what_comes_to_pages_of_a_long_posting if {
	posting := index.posting("new", 1)
	stored := {"devices": json.patch(_stored.devices, [{
		"op": "add",
		"path": concat("/", ["/generations/g/large", posting.name]),
		"value": {"size": 0, "length": 2, "tops": [""], "firsts": [["", "c"]], "pages": [[], []]},
	}])}
	come := [_change(id, [index.all_ids, posting]) | some id in ["c", "bb", "d"]]
	changes := array.concat(come, [_change("a", [])])
	result := store.view("devices", changes) with data.jwt_policy_data as stored
	result.large[posting.name] == {"size": 0, "places": {"bb": "0", "c": "1", "d": "1"}, "pages": {"0": [], "1": []}}
}

# What a push names it.

test_all_ids_are_in_the_posting_that_a_change_says if {
	result := _view([_change("b", [{"shard": "", "name": "all"}, index.posting("user", "u")])])
	[result.small, result.large] == [{}, {}]
}

test_view_of_changes_in_one_bucket if {
	result := _view([_change("a", []), object.union(_change("c", []), {"shard": "s0c", "bucket": "bc1"})])
	result.buckets == {"s0c/bc1": {"a": _devices.a}}
	result.digests == {"s0c": "1"}
}

test_view_of_several_changes if {
	result := _view([_change("a", []), _change("b", [index.all_ids])])
	result.buckets == {"s0c/bc1": {"a": _devices.a}, "s92/beb": {"b": _devices.b}}
	result.digests == {"s0c": "1", "s92": "2"}
	object.keys(result.small) == {index.posting("site", 1).name, index.posting("user", "u").name}
}

test_view_of_what_is_as_it_was if {
	after := [index.all_ids, index.posting("user", "u")]
	result := _view([_change("b", after)])
	[result.small, result.large] == [{}, {}]
}

test_there_is_no_view_where_nothing_was_pushed if {
	not store.view("devices", [_change("a", [])]) with data.jwt_policy_data as {}
}

test_there_is_no_view_of_another_layout if {
	not store.view("zones", [_change("a", [])]) with data.jwt_policy_data as _stored
}
