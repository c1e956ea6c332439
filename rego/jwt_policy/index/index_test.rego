package jwt_policy.index_test

import data.jwt_policy.index
import data.jwt_policy.stored_test

# Other types and what other pushes have left or begun lie beside what is current.
_stored := {
	"devices": json.patch(stored_test.indexed("7", _devices), [
		{"op": "add", "path": "/generations/old", "value": _other.g},
		{"op": "add", "path": "/generations/old/postings", "value": _postings("n", 1, ["z"])},
	]),
	"sessions": {"state": _state(1), "generations": {"old": _other.g, "g": {
		"postings": {},
		"large": {
			"long": {
				"size": 4, "length": 34, "tops": ["", "t"],
				"firsts": [array.concat([""], [concat("", ["k", char]) | some char in _chars]), ["t", "u"]],
				"pages": [["a"], ["b", "c"], [], ["d"]],
			},
			"none": {"size": 0, "length": 1, "tops": [""], "firsts": [[""]], "pages": [[]]},
		},
	}}},
	"users": {"state": _state(1), "generations": _other},
	"zones": {"state": _state(2), "generations": _other},
}

_state(layout) := {"layout": layout, "current": {"revision": "1", "generation": "g"}}

_devices := {
	"a": {"id": "a", "custom_data": {"n": 1, "o": 1}},
	"b": {"id": "b", "custom_data": {"n": 1, "m": "x", "o": 1}},
	"c": {"id": "c", "custom_data": {"o": 1}},
}

_other := {"g": {"postings": _postings("m", "x", ["z"]), "large": {"long": {
	"size": 1, "length": 2, "tops": ["", "a"], "firsts": [["", "0"], ["a"]], "pages": [["x"], ["y"]],
}}}}

_postings(name, value, ids) := {posting.shard: {posting.name: ids}} if posting := index.posting(name, value)

_chars := split("ABCDEabcdefghijklmnopqrstuvwxyz", "")

_size(type, posting) := result if {
	result := index.size(type, posting) with data.jwt_policy_data as _stored
}

_length(type, posting) := result if {
	result := index.length(type, posting) with data.jwt_policy_data as _stored
}

_page(type, posting, number) := result if {
	result := index.page(type, posting, number) with data.jwt_policy_data as _stored
}

_page_of(id) := result if {
	result := index.page_of("sessions", "long", id) with data.jwt_policy_data as _stored
}

_long := {"shard": "", "name": "long"}

# R11: these hashes are the same in the tests of the layout in Python.

test_posting_of_a_string if {
	index.posting("user_id", "user1") == {"shard": "s2f", "name": "p2f5e16dd4f39212e6e4a324be8a34cb58ce86b01"}
}

test_posting_is_another_for_another_name_or_value if {
	values := [null, false, true, 0, 1, "", "1", "true", "null", [], [1], {}, {"": 1}, {"a": 1}, [[]], [{}]]
	count({index.posting(name, value) | some name in ["", "a", "b"]; some value in values}) == 3 * count(values)
}

test_posting_is_the_same_for_equal_values if {
	one := {"b": [1, {"c": null, "d": "e"}], "f": 0}
	other := {"f": 0, "b": [1, {"d": "e", "c": null}]}
	index.posting("a", one) == index.posting("a", other)
}

test_posting_does_not_depend_on_what_is_escaped if {
	index.posting("<>&", "\u2028\u2029\b\f") == {
		"shard": "s55",
		"name": "p5536cdce168975db8b437f14662443f1636ca353",
	}
}

test_posting_of_what_looks_escaped_is_another if {
	index.posting("a", "<") != index.posting("a", "\\u003c")
	index.posting("a", "\\<") != index.posting("a", "\\\\u003c")
	index.posting("a", "\\b") != index.posting("a", "\\u0008")
	index.posting("a", "\\f") != index.posting("a", "\\u000c")
	index.posting("a", "\\\\b") != index.posting("a", "\\\\u0008")
}

test_posting_is_of_the_text_without_what_only_some_versions_escape if {
	text := concat("", [`["<>&\b\f\\u0008`, "\u2028\u2029", `",1]`])
	hash := crypto.sha256(text)
	expected := {"shard": concat("", ["s", substring(hash, 0, 2)]), "name": concat("", ["p", substring(hash, 0, 40)])}
	every written in [text, `["\u003c\u003e\u0026\u0008\u000c\\u0008\u2028\u2029",1]`] {
		index.posting("a", 1) == expected with json.marshal as written
	}
}

test_size_and_pages_of_short_postings if {
	_size("devices", index.posting("n", 1)) == 2
	_size("devices", index.posting("m", "x")) == 1
	_size("devices", index.posting("o", 1)) == 3
	_length("devices", index.posting("n", 1)) == 1
	_page("devices", index.posting("n", 1), 0) == ["a", "b"]
	_page("devices", index.posting("m", "x"), 0) == ["b"]
	not _page("devices", index.posting("n", 1), 1)
	not _page("devices", index.posting("n", 1), -1)
}

test_size_and_pages_of_long_postings if {
	_size("sessions", _long) == 4
	_length("sessions", _long) == 34
	[_page("sessions", _long, number) | some number in [0, 1, 2, 3]] == [["a"], ["b", "c"], [], ["d"]]
	not _page("sessions", _long, 4)
	_size("sessions", {"shard": "", "name": "none"}) == 0
}

test_posting_that_is_not_there_is_empty if {
	_size("devices", index.posting("n", 2)) == 0
	_length("devices", index.posting("n", 2)) == 0
	not _page("devices", index.posting("n", 2), 0)
}

test_nothing_has_a_length_where_nothing_was_pushed if {
	not index.length("devices", index.all_ids) with data.jwt_policy_data as {}
	not _length("nothing", index.all_ids)
}

test_nothing_is_seen_of_another_layout if {
	_size("zones", _long) == 0
	not _length("zones", _long)
	not _page("zones", _long, 0)
	not index.small("zones", index.posting("m", "x")) with data.jwt_policy_data as _stored
	not index.page_of("zones", "long", "a") with data.jwt_policy_data as _stored
}

test_page_of_an_id if {
	_page_of("") == 0
	_page_of("j") == 0
	_page_of("ka") == 6
	_page_of("kaa") == 6
	_page_of("kz") == 31
	_page_of("l") == 31
	_page_of("t") == 32
	_page_of("tzz") == 32
	_page_of("u") == 33
	_page_of("𠀀") == 33
}
