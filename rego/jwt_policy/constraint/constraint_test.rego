package jwt_policy.constraint_test

import data.jwt_policy.constraint

# Pairs of values that are equal (R11).
_equal := [
	[null, null],
	[true, true],
	[false, false],
	["", ""],
	["é", "é"],
	[1, 1.0],
	[1, 1e0],
	[0, -0],
	[100, 1e2],
	[9007199254740993, 9007199254740993],
	[[1, "a", null], [1.0, "a", null]],
	[{"a": {"b": [1]}}, {"a": {"b": [1]}}],
	[[], []],
	[{}, {}],
]

# Pairs of values that are not equal, by a hair (R11).
_unequal := [
	["1", 1],
	[true, 1],
	[false, 0],
	[true, "true"],
	[null, false],
	[null, 0],
	[null, ""],
	[null, "null"],
	["a", "A"],
	["a", "a "],
	["a", ["a"]],
	["é", "e\u0301"],
	[1, 1.0000000000000001],
	[9007199254740993, 9007199254740992],
	[1, -1],
	[[1, 2], [2, 1]],
	[[1], [1, 1]],
	[[], {}],
	[[], null],
	[{"a": 1}, {"a": 1, "b": 1}],
	[{"a": 1, "b": 1}, {"a": 1}],
	[{"a": {"b": [1]}}, {"a": {"b": ["1"]}}],
	[{"a": null}, {}],
]

_holds(description, resource) if {
	constraint.hold(description, resource)
} else := false

# R7

test_no_constraint_holds_for_every_resource if {
	_holds({}, {"id": "a", "custom_data": {"b": 1}})
	constraint.failures({}, {"id": "a", "custom_data": {"b": 1}}) == []
}

# R9

test_the_id_demanded_holds if {
	_holds({"id": "device1"}, {"id": "device1"})
	constraint.failures({"id": "device1"}, {"id": "device1"}) == []
}

test_another_id_fails if {
	ids := ["device2", "Device1", "device1 ", "device", "*", "1"]
	[_holds({"id": "device1"}, {"id": id}) | some id in ids] == [false | some _ in ids]
	result := [constraint.failures({"id": "device1"}, {"id": id}) | some id in ids]
	result == [[{"pointer": "/id", "code": "different"}] | some _ in ids]
}

test_an_empty_id_is_a_demand if {
	_holds({"id": ""}, {"id": "device1"}) == false
	constraint.failures({"id": ""}, {"id": "device1"}) == [{"pointer": "/id", "code": "different"}]
}

test_the_id_in_custom_data_is_not_the_id if {
	_holds({"id": "device1"}, {"id": "device2", "custom_data": {"id": "device1"}}) == false
}

# R10

test_a_member_demanded_holds if {
	_holds({"custom_data": {"a": 1}}, {"id": "x", "custom_data": {"a": 1}})
	constraint.failures({"custom_data": {"a": 1}}, {"id": "x", "custom_data": {"a": 1}}) == []
}

test_more_members_never_hurt if {
	_holds({"custom_data": {"a": 1}}, {"id": "x", "custom_data": {"a": 1, "b": 2, "": null}})
}

test_empty_custom_data_demands_nothing if {
	_holds({"custom_data": {}}, {"id": "x"})
	_holds({"custom_data": {}}, {"id": "x", "custom_data": {"a": 1}})
}

test_all_members_must_hold if {
	description := {"custom_data": {"a": 1, "b": 2, "c": 3}}
	resource := {"id": "x", "custom_data": {"a": 1, "b": 3, "d": 3}}
	_holds(description, resource) == false
	constraint.failures(description, resource) == [
		{"pointer": "/custom_data/b", "code": "different"},
		{"pointer": "/custom_data/c", "code": "missing"},
	]
}

test_a_resource_without_custom_data_has_an_empty_one if {
	_holds({"custom_data": {"a": 1}}, {"id": "x"}) == false
	constraint.failures({"custom_data": {"a": 1}}, {"id": "x"}) == [{"pointer": "/custom_data/a", "code": "missing"}]
}

test_a_demanded_null_needs_a_present_null if {
	_holds({"custom_data": {"a": null}}, {"id": "x", "custom_data": {"a": null}})
	_holds({"custom_data": {"a": null}}, {"id": "x", "custom_data": {}}) == false
	constraint.failures({"custom_data": {"a": null}}, {"id": "x", "custom_data": {}}) == [{
		"pointer": "/custom_data/a",
		"code": "missing",
	}]
}

test_a_member_of_the_resource_itself_is_no_custom_data if {
	_holds({"custom_data": {"a": 1}}, {"id": "x", "a": 1}) == false
}

test_the_name_of_a_member_is_exact if {
	_holds({"custom_data": {"a": 1}}, {"id": "x", "custom_data": {"A": 1, "a ": 1}}) == false
}

# R11

test_equal_values_hold if {
	results := [_holds({"custom_data": {"a": expected}}, {"id": "x", "custom_data": {"a": actual}}) |
		some [expected, actual] in _equal
	]
	results == [true | some _ in _equal]
}

test_equal_values_are_no_failure if {
	result := [constraint.failures({"custom_data": {"a": expected}}, {"id": "x", "custom_data": {"a": actual}}) |
		some [expected, actual] in _equal
	]
	result == [[] | some _ in _equal]
}

test_unequal_values_fail if {
	results := [_holds({"custom_data": {"a": expected}}, {"id": "x", "custom_data": {"a": actual}}) |
		some [expected, actual] in _unequal
	]
	results == [false | some _ in _unequal]
}

test_unequal_values_are_different_both_ways if {
	result := [constraint.failures({"custom_data": expected}, {"id": "x", "custom_data": actual}) |
		some [one, other] in _unequal
		expected := {"back": other, "there": one}
		actual := {"back": one, "there": other}
	]
	both := [{"pointer": "/custom_data/back", "code": "different"}, {"pointer": "/custom_data/there", "code": "different"}]
	result == [both | some _ in _unequal]
}

# R6

test_failures_are_sorted_and_their_pointers_escaped if {
	constraint.failures(
		{"id": "a", "custom_data": {"z": 1, "a~b": 1, "a/b": 1, "a": 1, "é": 1, "": 1}},
		{"id": "b", "custom_data": {"a/b": 2, "é": 2}},
	) == [
		{"pointer": "/custom_data/", "code": "missing"},
		{"pointer": "/custom_data/a", "code": "missing"},
		{"pointer": "/custom_data/a~0b", "code": "missing"},
		{"pointer": "/custom_data/a~1b", "code": "different"},
		{"pointer": "/custom_data/z", "code": "missing"},
		{"pointer": "/custom_data/é", "code": "different"},
		{"pointer": "/id", "code": "different"},
	]
}

test_failures_of_each_are_those_of_each_alone if {
	description := {"id": "a", "custom_data": {"z": null, "a/b": [1], "a~b": {"c": 1}, "": "x"}}
	resources := [
		{"id": "a"},
		{"id": "b", "custom_data": {}},
		{"id": "a", "custom_data": {"z": null, "a/b": [1], "a~b": {"c": 1}, "": "x", "more": 1}},
		{"id": "A", "custom_data": {"z": false, "a/b": [1, 2], "a~b": {"c": 1, "d": 1}, "": ""}},
		{"id": "a", "custom_data": {"": "x", "z": "null", "id": "a"}},
	]
	result := constraint.failures_of_each(description, resources)
	result == [constraint.failures(description, resource) | some resource in resources]
	[count(failed) | some failed in result] == [4, 5, 0, 5, 3]
	results := {place | some place, resource in resources; constraint.hold(description, resource)}
	results == {place | some place, failed in result; failed == []}
	constraint.failures_of_each({}, resources) == [[] | some _ in resources]
	constraint.failures_of_each(description, []) == []
}
