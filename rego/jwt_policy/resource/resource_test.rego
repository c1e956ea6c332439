package jwt_policy.resource_test

import data.jwt_policy.resource
import data.jwt_policy.stored_test

_stored := {"devices": stored_test.document("1", {
	"device1": {"id": "device1", "custom_data": {"user_id": "user1"}},
	"bare": {"id": "bare"},
	"other": {"id": "Other"},
	"no_id": {"custom_data": {}},
	"bad_data": {"id": "bad_data", "custom_data": []},
	"array": ["array"],
	"text": "text",
	"false": false,
	"null": null,
	"": {"id": ""},
})}

_invalid := {"reason": "invalid_resource"}

_unknown := {"reason": "unknown_resource"}

# R12.8

test_object_with_an_id_is_valid if resource.validated({"id": "a"}) == {"resource": {"id": "a"}}

test_valid_resource_keeps_all_its_members if {
	value := {"id": "a", "custom_data": {"b": [1]}, "other": null}
	resource.validated(value) == {"resource": value}
}

test_valid_resource_may_have_empty_custom_data if {
	resource.validated({"id": "a", "custom_data": {}}) == {"resource": {"id": "a", "custom_data": {}}}
}

test_valid_resource_may_have_an_id_of_a_space if resource.validated({"id": " "}) == {"resource": {"id": " "}}

test_value_that_is_no_object_is_invalid if {
	result := [resource.validated(value) | some value in [null, false, true, 0, 1, "", "id", [], ["id"], [{"id": "a"}]]]
	result == [_invalid | some _ in numbers.range(1, 10)]
}

test_object_without_an_id_is_invalid if {
	resource.validated({}) == _invalid
	resource.validated({"custom_data": {}}) == _invalid
	resource.validated({"ID": "a"}) == _invalid
}

test_id_must_be_a_string if {
	result := [resource.validated({"id": id}) | some id in [null, false, true, 0, 1, [], ["a"], {}, {"id": "a"}]]
	result == [_invalid | some _ in numbers.range(1, 9)]
}

test_id_must_not_be_empty if resource.validated({"id": "", "custom_data": {}}) == _invalid

test_custom_data_must_be_an_object if {
	values := [null, false, true, 0, "", "{}", [], [{}]]
	result := [resource.validated({"id": "a", "custom_data": value}) | some value in values]
	result == [_invalid | some _ in numbers.range(1, 8)]
}

test_all_are_valid if {
	resource.are_valid([])
	resource.are_valid([{"id": "a"}, {"id": " ", "custom_data": {}, "other": null}])
}

test_one_invalid_value_is_enough if {
	wrong := [
		null, "a", [], {}, {"id": null}, {"id": 1}, {"id": ["a"]}, {"id": ""},
		{"id": "a", "custom_data": null}, {"id": "a", "custom_data": []}, {"id": "a", "custom_data": false},
	]
	lists := [[{"id": "a"}, value, {"id": "b"}] | some value in wrong]
	[values | some values in lists; resource.are_valid(values)] == []
	count(lists) == 11
}

# R2, by id

test_stored_resource_is_found_by_id if {
	result := resource.stored("devices", "device1") with data.jwt_policy_data as _stored
	result == {"resource": {"id": "device1", "custom_data": {"user_id": "user1"}}}
}

test_stored_resource_needs_no_custom_data if {
	result := resource.stored("devices", "bare") with data.jwt_policy_data as _stored
	result == {"resource": {"id": "bare"}}
}

test_stored_value_of_another_id_is_no_resource if {
	result := resource.stored("devices", "other") with data.jwt_policy_data as _stored
	result == _invalid
}

test_stored_value_that_is_no_resource_is_known if {
	ids := ["no_id", "bad_data", "array", "text"]
	result := [resource.stored("devices", id) | some id in ids] with data.jwt_policy_data as _stored
	result == [_invalid, _invalid, _invalid, _invalid]
}

test_stored_false_is_known if {
	result := resource.stored("devices", "false") with data.jwt_policy_data as _stored
	result == _invalid
}

test_stored_null_is_known if {
	result := resource.stored("devices", "null") with data.jwt_policy_data as _stored
	result == _invalid
}

test_id_that_is_not_stored_is_unknown if {
	ids := ["device2", "Device1", "device1 ", "devic", "resources"]
	result := [resource.stored("devices", id) | some id in ids] with data.jwt_policy_data as _stored
	result == [_unknown, _unknown, _unknown, _unknown, _unknown]
}

test_empty_id_is_unknown_even_where_it_is_stored if {
	result := resource.stored("devices", "") with data.jwt_policy_data as _stored
	result == _unknown
}

test_id_that_is_no_string_is_unknown if {
	ids := [null, false, true, 0, 1, [], ["device1"], {}, {"id": "device1"}]
	result := [resource.stored("devices", id) | some id in ids] with data.jwt_policy_data as _stored
	result == [_unknown | some _ in ids]
}

test_number_is_no_index_into_a_stored_array if {
	result := resource.stored("devices", 0) with data.jwt_policy_data as {"devices": [{"id": 0}]}
	result == _unknown
}

test_id_of_another_type_is_unknown if {
	result := resource.stored("sessions", "device1") with data.jwt_policy_data as _stored
	result == _unknown
}

test_every_id_is_unknown_where_nothing_is_stored if {
	result := resource.stored("devices", "device1") with data.jwt_policy_data as {}
	result == _unknown
}

_in_layout(layout) := json.patch(_stored, [{"op": "replace", "path": "/devices/state/layout", "value": layout}])

test_resources_in_another_layout_are_not_seen if {
	every layout in [2, 0, "1", false] {
		result := resource.stored("devices", "device1") with data.jwt_policy_data as _in_layout(layout)
		result == _unknown
		state := resource.state("devices") with data.jwt_policy_data as _in_layout(layout)
		state == {"layout": layout}
		not resource.current("devices") with data.jwt_policy_data as _in_layout(layout)
	}
}

test_what_is_current_is_the_state if {
	current := {"revision": "1", "generation": "g", "store": "tests", "count": 10}
	resource.current("devices") == current with data.jwt_policy_data as _stored
	resource.state("devices") == current with data.jwt_policy_data as _stored
}

test_resources_in_another_place_are_not_seen if {
	# Where it belongs is what its hash begins with.
	places := ["sb9/b77", "sb9/b00", "s00/b77", "s00/b00"]
	seen := [place |
		some place in places
		[shard, bucket] := split(place, "/")
		resources := {shard: {bucket: {"device1": {"id": "device1"}}}}
		data_ := json.patch(_stored, [{"op": "replace", "path": "/devices/generations/g/resources", "value": resources}])
		result := resource.stored("devices", "device1") with data.jwt_policy_data as data_
		result != _unknown
	]
	seen == ["sb9/b77"]
}

test_all_stored_are_found_in_order if {
	result := resource.all_stored("devices", ["bare", "device1", "bare"]) with data.jwt_policy_data as _stored
	result == [{"id": "bare"}, {"id": "device1", "custom_data": {"user_id": "user1"}}, {"id": "bare"}]
}

test_no_ids_are_all_stored if resource.all_stored("devices", []) == []

test_not_all_are_stored_where_one_is_not if {
	others := [
		"device2", "other", "no_id", "bad_data", "array", "text", "false", "null", "",
		null, false, true, 0, [], ["device1"], {},
	]
	result := [other |
		some other in others
		resource.all_stored("devices", ["device1", other, "bare"])
	] with data.jwt_policy_data as _stored
	result == []
	count(others) == 16
}

test_all_stored_are_of_the_type if {
	types := [type |
		some type in ["sessions", "devices", null, 1]
		resource.all_stored(type, ["device1"])
	] with data.jwt_policy_data as _stored
	types == ["devices"]
}

test_numbers_are_no_indices_into_a_stored_array if {
	data_ := {"devices": [{"id": 0}, {"id": 1}]}
	result := [1 | resource.all_stored("devices", [0, 1])] with data.jwt_policy_data as data_
	result == []
}
