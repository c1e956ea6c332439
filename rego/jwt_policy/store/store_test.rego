package jwt_policy.store_test

import data.jwt_policy.index
import data.jwt_policy.store
import data.jwt_policy.stored_test

_devices := {
	"a": {"id": "a", "custom_data": {"user": "u", "site": 1}},
	"b": {"id": "b", "custom_data": {"user": "u"}},
}

_stored := {"devices": json.patch(stored_test.indexed("7", _devices), [{
	"op": "add",
	"path": "/generations/g/digests",
	"value": {"s0c": "1", "s92": "2"},
}])}

_view(changes) := found if {
	found := store.view("devices", changes) with data.jwt_policy_data as _stored
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

test_view_of_several_changes if {
	found := _view([_change("a", []), _change("b", [index.all_ids])])
	found.buckets == {"s0c/bc1": {"a": _devices.a}, "s92/beb": {"b": _devices.b}}
	found.digests == {"s0c": "1", "s92": "2"}
	object.keys(found.small) == {index.posting("site", 1).name, index.posting("user", "u").name}
}

test_view_of_what_is_as_it_was if {
	after := [index.all_ids, index.posting("user", "u")]
	found := _view([_change("b", after)])
	[found.small, found.large] == [{}, {}]
}

test_there_is_no_view_where_nothing_was_pushed if {
	not store.view("devices", [_change("a", [])]) with data.jwt_policy_data as {}
}
