package jwt_policy.listing_test

import data.jwt_policy.index
import data.jwt_policy.listing
import data.jwt_policy.stored_test

_devices := {
	"a": {"id": "a", "custom_data": {"user": "u", "site": 1, "on": true}},
	"b": {"id": "b", "custom_data": {"user": "u", "site": 2}},
	"c": {"id": "c", "custom_data": {"user": "v", "site": 1, "on": null}},
	"d": {"id": "d", "custom_data": {"user": "u", "site": 1, "on": {"x": [1]}}},
	"e": {"id": "e"},
}

# Another type and what another push has left lie beside what is current.
_stored := {
	"devices": json.patch(stored_test.indexed("7", _devices), [
		{"op": "add", "path": "/generations/old", "value": _others.generations.g},
	]),
	"users": _others,
	"zones": json.patch(stored_test.indexed("7", _devices), [{"op": "replace", "path": "/state/layout", "value": 2}]),
}

_others := stored_test.indexed("7", {id: {"id": id, "custom_data": {"user": "u", "site": 1, "on": true}} |
	some id in ["b", "c", "e"]
})

_all := {"type": "devices", "page": 0, "pages": 2, "scanned": 2}

_result(granted, request) := result if {
	result := listing.result(granted, request) with data.jwt_policy_data as _stored
}

_ids(description) := [id | some page in _result({"description": description}, _all).pages; some id in page]

test_what_is_decided_first_is_told if {
	denied := {"allow": false, "reason": "unknown_type"}
	_result({"denial": denied}, _all) == {"decision": denied}
}

test_what_is_denied_for_every_resource_is_told if {
	denied := {"allow": false, "reason": "type_not_granted"}
	_result({"decision": denied}, _all) == {"decision": denied}
}

# R3

test_without_a_policy_everything_is_listed if {
	listed := _result({"decision": {"allow": true, "reason": "unrestricted"}}, _all)
	listed == {"everything": true, "length": 1, "pages": [["a", "b", "c", "d", "e"]]}
}

# R7

test_description_that_demands_nothing_lists_everything if {
	listed := [_result({"description": description}, _all) | some description in [{}, {"custom_data": {}}]]
	listed == [{"everything": true, "length": 1, "pages": [["a", "b", "c", "d", "e"]]} | some _ in [1, 2]]
}

# A range that counts so far would not end.

test_page_behind_the_last_one_is_not_there_however_far if {
	request := object.union(_all, {"page": 9007199254740993})
	_result({"description": {}}, request) == {"everything": true, "length": 1, "pages": []}
	_result({"description": {"custom_data": {"user": "u"}}}, request).pages == []
	_result({"description": {"custom_data": {"user": "u", "site": 1}}}, request).pages == []
	_result({"description": {"custom_data": {"user": "nobody"}}}, request).pages == []
	_result({"description": {}}, object.union(_all, {"page": 1})).pages == []
}

# R9

test_by_id if {
	_result({"description": {"id": "b"}}, _all) == {"everything": false, "length": 1, "pages": [["b"]]}
	_ids({"id": "b", "custom_data": {"user": "u"}}) == ["b"]
	_ids({"id": "b", "custom_data": {}}) == ["b"]
	_ids({"id": "b", "custom_data": {"user": "v"}}) == []
	_ids({"id": "z"}) == []
	_ids({"id": ""}) == []
}

test_by_id_has_one_page if {
	_result({"description": {"id": "b"}}, object.union(_all, {"page": 1})).pages == [[]]
	_result({"description": {"id": "b"}}, object.union(_all, {"page": -1})).pages == [[]]
}

# R10

test_by_one_member if {
	_result({"description": {"custom_data": {"user": "u"}}}, _all) == {
		"everything": false, "length": 1, "pages": [["a", "b", "d"]],
	}
	_ids({"custom_data": {"site": 1}}) == ["a", "c", "d"]
	_ids({"custom_data": {"on": null}}) == ["c"]
	_ids({"custom_data": {"on": {"x": [1]}}}) == ["d"]
	_ids({"custom_data": {"on": {"x": []}}}) == []
	_ids({"custom_data": {"site": "1"}}) == []
	_ids({"custom_data": {"no": 1}}) == []
}

test_by_several_members if {
	_result({"description": {"custom_data": {"user": "u", "site": 1}}}, _all) == {
		"everything": false, "length": 1, "pages": [["a", "d"]],
	}
	_ids({"custom_data": {"user": "u", "site": 1, "on": true}}) == ["a"]
	_ids({"custom_data": {"user": "v", "site": 2}}) == []
	_result({"description": {"custom_data": {"user": "u", "no": 1}}}, _all) == {
		"everything": false, "length": 0, "pages": [],
	}
}

test_what_is_no_resource_of_its_id_is_not_listed if {
	sound := {"user": "u", "site": 1}
	kept := {
		"a": {"id": "b", "custom_data": sound}, "b": {"custom_data": sound}, "c": {"id": "c", "custom_data": [sound]},
		"d": {"id": "d", "custom_data": sound}, "e": [sound], "f": {"id": "f"},
		"i": {"id": "a", "custom_data": sound},
	}
	ids := ["a", "b", "c", "d", "e", "f", "g", "h", "i"]
	postings := {posting.shard: {posting.name: ids} |
		some name, value in sound
		posting := index.posting(name, value)
	}
	stored := {"devices": json.patch(stored_test.indexed("7", kept), [
		{"op": "replace", "path": "/generations/g/postings", "value": postings},
		# Where no push would put them.
		{"op": "add", "path": "/generations/g/resources/sff", "value": {"bf5": {"g": {"id": "g", "custom_data": sound}}}},
		{"op": "add", "path": "/generations/g/resources/s25", "value": {"bff": {"h": {"id": "h", "custom_data": sound}}}},
	])}
	request := {"description": {"custom_data": sound}}
	result := listing.result(request, _all) with data.jwt_policy_data as stored
	result.pages == [["d"]]
}

# Pages

_paged := {"devices": json.patch(stored_test.indexed("7", _devices), [{
	"op": "add",
	"path": "/generations/g/large/all",
	"value": {"size": 5, "length": 3, "tops": [""], "firsts": [["", "c", "e"]], "pages": [["a", "b"], ["c", "d"], ["e"]]},
}])}

_pages(page, pages) := result.pages if {
	request := {"type": "devices", "page": page, "pages": pages, "scanned": 1}
	result := listing.result({"description": {}}, request) with data.jwt_policy_data as _paged
}

test_pages_that_are_asked_for if {
	_pages(0, 1) == [["a", "b"]]
	_pages(0, 2) == [["a", "b"], ["c", "d"]]
	_pages(1, 1) == [["c", "d"]]
	_pages(1, 2) == [["c", "d"], ["e"]]
	_pages(1, 9) == [["c", "d"], ["e"]]
	_pages(2, 1) == [["e"]]
	_pages(3, 1) == []
	_pages(9, 9) == []
}

# However many pages the request wants, none after the last one is read.

_range_to_the_last_page(1, 2) := [1, 2]

test_pages_are_looked_for_up_to_the_last_one if {
	result := _pages(1, 9) with numbers.range as _range_to_the_last_page
	result == [["c", "d"], ["e"]]
}

test_scanned_pages_are_as_many_as_asked_for if {
	request := {"type": "devices", "page": 0, "pages": 9, "scanned": 1}
	paged := {"devices": json.patch(_stored.devices, [
		{"op": "replace", "path": "/generations/g/postings", "value": {}},
		{"op": "add", "path": concat("/", ["/generations/g/large", _name("user", "u")]), "value": _two},
		{"op": "add", "path": concat("/", ["/generations/g/large", _name("site", 1)]), "value": _two},
	])}
	granted := {"description": {"custom_data": {"user": "u", "site": 1}}}
	result := listing.result(granted, request) with data.jwt_policy_data as paged
	result == {"everything": false, "length": 2, "pages": [["a"]]}
}

# Three ids stand in the short posting. How many pages there are does not count.

test_what_the_fewest_have_is_looked_through if {
	every name, value in {"user": "u", "site": 1} {
		_looked_through(name, value, 4) == {"everything": false, "length": 1, "pages": [["a", "d"]]}
		_looked_through(name, value, 2) == {"everything": false, "length": 2, "pages": [["a"], ["d"]]}
	}
}

# The list for two members where the posting of this member is in pages.
_looked_through(name, value, size) := result if {
	posting := index.posting(name, value)
	stored := {"devices": json.patch(_stored.devices, [
		{"op": "remove", "path": concat("/", ["/generations/g/postings", posting.shard, posting.name])},
		{
			"op": "add",
			"path": concat("/", ["/generations/g/large", posting.name]),
			"value": object.union(_two, {"size": size}),
		},
	])}
	request := {"description": {"custom_data": {"user": "u", "site": 1}}}
	result := listing.result(request, _all) with data.jwt_policy_data as stored
}

_two := {"size": 4, "length": 2, "tops": [""], "firsts": [["", "c"]], "pages": [["a", "b"], ["c", "d"]]}

_name(name, value) := index.posting(name, value).name

test_nothing_is_listed_where_nothing_was_pushed if {
	not listing.result({"description": {}}, _all) with data.jwt_policy_data as {}
	not listing.result({"description": {"custom_data": {"a": 1}}}, _all) with data.jwt_policy_data as {}
}

test_nothing_is_listed_of_another_layout if {
	request := object.union(_all, {"type": "zones"})
	not _result({"description": {}}, request)
	not _result({"description": {"custom_data": {"user": "u"}}}, request)
	not _result({"description": {"custom_data": {"user": "u", "site": 1}}}, request)
}
