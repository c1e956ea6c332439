# The entrypoint `decisions`.
package jwt_policy_test

import data.jwt_policy

test_decisions_one_for_each_resource_in_order if {
	resources := [_theirs, _mine, null, false, 0, "device1", [], {}, {"id": ""}, _mine, _theirs]
	_decide_each({"claims": _claims, "type": "devices", "resources": resources}) == [
		_not_mine, _matched, _invalid_resource, _invalid_resource, _invalid_resource, _invalid_resource,
		_invalid_resource, _invalid_resource, _invalid_resource, _matched, _not_mine,
	]
}

test_decisions_one_for_each_id_in_order if {
	ids := ["device2", "device1", "device4", "", null, false, 0, [], {}, "device3", "array", "false", "null", "device1"]
	_decide_each({"claims": _claims, "type": "devices", "ids": ids}) == [
		_not_mine, _matched, _unknown_resource, _unknown_resource, _unknown_resource, _unknown_resource,
		_unknown_resource, _unknown_resource, _unknown_resource, _invalid_resource, _invalid_resource,
		_invalid_resource, _invalid_resource, _matched,
	]
}

test_decisions_of_nothing_are_none if {
	_decide_each({"claims": _claims, "type": "devices", "resources": []}) == []
	_decide_each({"claims": _claims, "type": "devices", "ids": []}) == []
}

test_decisions_are_malformed_for_each_item_where_the_claims_are if {
	_decide_each({"type": "devices", "resources": [_mine, null]}) == [_malformed, _malformed]
	_decide_each({"claims": [], "type": "devices", "ids": ["device1", 7]}) == [_malformed, _malformed]
}

test_decisions_are_malformed_for_each_item_where_the_type_is if {
	_decide_each({"claims": {}, "resources": [_mine, null]}) == [_malformed, _malformed]
	_decide_each({"claims": {}, "ids": ["device1", 7]}) == [_malformed, _malformed]
	_decide_each({"claims": {}, "type": 7, "ids": ["device1", 7]}) == [_malformed, _malformed]
}

test_decisions_of_an_unknown_type_are_one_for_each_item if {
	denied := {"allow": false, "reason": "unknown_type"}
	_decide_each({"claims": {}, "type": "users", "resources": [_mine, null]}) == [denied, denied]
	_decide_each({"claims": {}, "type": "users", "ids": ["device1", 7]}) == [denied, denied]
}

test_decisions_resources_come_before_ids if {
	question := {"claims": _claims, "type": "devices", "resources": [_theirs], "ids": ["device1", "device1"]}
	_decide_each(question) == [_not_mine]
}

test_decisions_ids_do_not_count_beside_resources_that_are_no_array if {
	values := [null, false, 0, "", {}, {"0": _mine}]
	result := [_decide_each({"claims": {}, "type": "devices", "resources": value, "ids": ["device1"]}) |
		some value in values
	]
	result == [[] | some _ in values]
}

test_decisions_take_no_object_for_a_list if {
	_decide_each({"claims": {}, "type": "devices", "resources": {"a": _mine}}) == []
	_decide_each({"claims": {}, "type": "devices", "ids": {"a": "device1"}}) == []
	_decide_each({"claims": {}, "type": "devices", "ids": "device1"}) == []
}

test_decisions_are_those_of_each_question_alone if {
	resources := [_mine, _theirs, null, {"id": "x"}]
	_decide_each({"claims": _claims, "type": "devices", "resources": resources}) == [decided |
		some resource in resources
		decided := _decide({"claims": _claims, "type": "devices", "resource": resource})
	]
}

_decide_in_turn(question, resources) := [_decide(object.union(question, {"resource": value})) |
	some value in resources
]

test_decisions_on_valid_resources_are_those_of_each_alone if {
	resources := [
		_mine, _theirs, {"id": "x"}, _mine,
		{"id": "device1", "custom_data": {"user_id": null}},
		{"id": "device1", "custom_data": {"user_id": "user1", "a": 1}},
	]
	questions := [{"claims": claims, "type": type} |
		some claims in [
			_claims, {}, null,
			{"policy": {"version": 2}},
			{"policy": {"version": 1}},
			{"policy": {"version": 2, "devices": {}}},
			{"policy": {"version": 2, "devices": {"id": "device1"}}},
			{"policy": {"version": 2, "devices": {"id": "x", "custom_data": {"user_id": null, "a": 1}}}},
		]
		some type in ["devices", "sessions", "users", null]
	]
	result := [_decide_each(object.union(question, {"resources": resources})) | some question in questions]
	result == [_decide_in_turn(question, resources) | some question in questions]
	count(result) == 32
	every decided in result {
		count(decided) == 6
	}
}

test_decisions_on_stored_resources_are_those_of_each_alone if {
	ids := ["device1", "device2", "device1"]
	_decide_each({"claims": _claims, "type": "devices", "ids": ids}) == [_matched, _not_mine, _matched]
	_decide_each({"claims": {}, "type": "devices", "ids": ids}) == [_unrestricted, _unrestricted, _unrestricted]
	none := {"claims": _claims, "type": "sessions", "ids": ["session1"]}
	_decide_each(none) == [{"allow": false, "reason": "type_not_granted"}]
}

test_decisions_on_one_resource_that_is_none_among_many if {
	_decide_each({"claims": _claims, "type": "devices", "resources": [_mine, {"id": ""}, _theirs]}) == [
		_matched, _invalid_resource, _not_mine,
	]
	_decide_each({"claims": _claims, "type": "devices", "ids": ["device1", "device3", "device2"]}) == [
		_matched, _invalid_resource, _not_mine,
	]
}

# A batch is decided in one of two ways, and both give the same decisions. So each test replaces one way by a mock.

mock_one(_, _) := "alone"

mock_together(_, _) := "together"

test_what_stands_for_a_way_is_no_decision if {
	[mock_failures({}, {}), mock_one({}, {}), mock_together({}, [])] == [["failure"], "alone", "together"]
}

_decide_together(question) := decided if {
	decided := _decide_each(question) with jwt_policy._decide_one as mock_one
}

_decide_alone(question) := decided if {
	decided := _decide_each(question) with jwt_policy._decide_together as mock_together
}

_of_every_grant := [
	{"type": "devices"},
	{"claims": {}, "type": "devices"},
	{"claims": {"policy": {"version": 1}}, "type": "devices"},
	{"claims": {"policy": {"version": 2, "devices": {}}}, "type": "devices"},
	{"claims": _claims, "type": "devices"},
]

test_decisions_on_valid_resources_are_made_together if {
	questions := [object.union(question, {"resources": [_mine, _theirs]}) | some question in _of_every_grant]
	result := [_decide_together(question) | some question in questions]
	result == [_decide_each(question) | some question in questions]
	result[4] == [_matched, _not_mine]
}

test_decisions_on_stored_resources_are_made_together if {
	questions := [object.union(question, {"ids": ["device1", "device2"]}) | some question in _of_every_grant]
	result := [_decide_together(question) | some question in questions]
	result == [_decide_each(question) | some question in questions]
	result[4] == [_matched, _not_mine]
}

test_decisions_are_made_alone_where_one_is_on_no_resource if {
	questions := [
		{"claims": _claims, "type": "devices", "resources": [_mine, {"id": ""}]},
		{"claims": _claims, "type": "devices", "ids": ["device1", "device3"]},
		{"claims": _claims, "type": "devices", "ids": ["device1", "device4"]},
	]
	result := [_decide_alone(question) | some question in questions]
	result == [[_matched, _invalid_resource], [_matched, _invalid_resource], [_matched, _unknown_resource]]
}
